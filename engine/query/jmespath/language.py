"""JMESPath as a QueryLanguage: delimiters, templates, and the wording of failures."""

from __future__ import annotations

from typing import Final

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query import Evaluate, Expression, Scope
from engine.query.jmespath.compiler import Compiled, Path, compile_text
from engine.query.jmespath.evaluation import EvaluationError
from engine.query.template import compile_template
from engine.values import JSON


class JMESPath:
    """The QueryLanguage "JMESPath". Compiled expressions may be shared between threads."""

    name = "JMESPath"
    exportable = False

    def expression(self, text: str, field: str) -> Expression:
        """Compile `{% … %}`. Offsets of a mistake count in `text`. Raises ExpressionSyntaxError."""
        if not self.is_expression(text):
            raise ExpressionSyntaxError("an expression stands between '{%' and '%}'")
        start = text.index("{%") + 2
        inner = text[start : text.rindex("%}")]
        try:
            compiled = compile_text(inner.strip())
        except ExpressionSyntaxError as mistake:
            mistake.offset += start + len(inner) - len(inner.lstrip())
            raise
        references = frozenset(map(written, compiled.paths))
        return Expression(inner.strip(), _evaluate(compiled, inner.strip(), field), references)

    def template(self, value: JSON, field: str) -> Expression:
        """Compile a template; parts without expressions are shared, not copied. Raises TemplateSyntaxError."""
        return compile_template(self, value, field)

    def is_expression(self, value: JSON) -> bool:
        """Whether a value is a string `{% … %}`, blanks around it allowed."""
        if not isinstance(value, str) or "{%" not in value:
            return False
        text = value.strip()
        return len(text) >= 4 and text.startswith("{%") and text.endswith("%}")


LANGUAGE: Final = JMESPath()


def written(path: Path) -> str:
    """A path as an author writes it: `states.input.items[0].id`; the whole scope is `$`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "$"


def _evaluate(compiled: Compiled, text: str, field: str) -> Evaluate:
    if compiled.read is not None:
        read = compiled.read
        return lambda data, scope: read(scope)

    def evaluate(data: JSON, scope: Scope) -> JSON:
        try:
            return compiled.evaluate(scope)
        except EvaluationError as failure:
            raise ExecutionFailure(
                "States.QueryEvaluationError",
                f"The JMESPath expression '{text}' specified for the field '{field}' "
                f"threw an error during evaluation. {failure}",
                kind="evaluation",
                location=field,
            ) from failure

    return evaluate
