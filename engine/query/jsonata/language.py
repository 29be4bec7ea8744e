"""JSONata as a QueryLanguage: delimiters, templates, and AWS's wording of failures."""

from __future__ import annotations

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query import Expression, Scope
from engine.query.jsonata.compiler import compile_text
from engine.query.jsonata.program import EvaluationError, Path, load
from engine.query.template import compile_template
from engine.values import JSON


class JSONata:
    """The QueryLanguage "JSONata", on a library of `program.LIBRARIES`. Compiled expressions may be shared by threads.

    Raises ImportError, with the remedy, when the library is not installed.
    """

    name = "JSONata"
    exportable = True

    def __init__(self, library: str) -> None:
        self._compile = load(library)

    def expression(self, text: str, field: str) -> Expression:
        """Compile `{% … %}`; `source` is what stands between. Offsets count in `text`. Raises ExpressionSyntaxError."""
        if not self.is_expression(text):
            raise ExpressionSyntaxError("an expression stands between '{%' and '%}'")
        inner = text[2:-2]
        source = inner.strip()
        try:
            compiled = compile_text(source, self._compile)
        except ExpressionSyntaxError as mistake:
            for each in (mistake, *mistake.others):
                each.offset += 2 + len(inner) - len(inner.lstrip())
            raise
        read = compiled.evaluate

        def evaluate(data: JSON, scope: Scope) -> JSON:
            try:
                return read(scope)
            except EvaluationError as failure:
                raise _failure(source, field, failure) from failure

        return Expression(source, evaluate, frozenset(map(written, compiled.paths)))

    def template(self, value: JSON, field: str) -> Expression:
        """Compile a template; parts without expressions are shared, not copied. Raises TemplateSyntaxError."""
        return compile_template(self, value, field)

    def is_expression(self, value: JSON) -> bool:
        """Whether a value is a string `{% … %}`, without anything around it: AWS takes ` {% 1 %} ` as it is written."""
        return isinstance(value, str) and len(value) >= 4 and value.startswith("{%") and value.endswith("%}")


def written(path: Path) -> str:
    """A path of references: `states.input.id` for `$states`, `$limit` and `$order.id` for variables."""
    text = ".".join(path)
    return text if path[0] == "states" else f"${text}"


def _failure(source: str, field: str, failure: EvaluationError) -> ExecutionFailure:
    return ExecutionFailure(
        "States.QueryEvaluationError",
        f"The JSONata expression '{source}' specified for the field '{field}' {failure}",
        kind="evaluation",
        location=field,
    )
