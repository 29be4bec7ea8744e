"""Templates of the expression languages: JSON in which any string may be an expression `{% … %}`."""

from __future__ import annotations

from engine.errors import ExpressionSyntaxError
from engine.query import Evaluate, Expression, QueryLanguage, SyntaxIssue, TemplateSyntaxError
from engine.values import JSON, dump

Pointer = tuple[str | int, ...]


def compile_template(language: QueryLanguage, value: JSON, field: str) -> Expression:
    """Compile a template; parts without expressions are shared, not copied.

    The field of a part is written as AWS writes it: `Output/items[0]/name`. Raises TemplateSyntaxError with every
    mistake.
    """
    compiler = _Compiler(language)
    evaluate = compiler.part(value, field, ())
    if compiler.issues:
        raise TemplateSyntaxError(compiler.issues)
    return Expression(compiler.source(value), evaluate or (lambda data, scope: value), frozenset(compiler.references))


class _Compiler:
    def __init__(self, language: QueryLanguage) -> None:
        self.language = language
        self.issues: list[SyntaxIssue] = []
        self.references: set[str] = set()

    def source(self, value: JSON) -> str:
        """What a message shows: the expression where the whole template is one, else the JSON text."""
        return value[2:-2].strip() if self.language.is_expression(value) else dump(value)

    def part(self, value: JSON, field: str, pointer: Pointer) -> Evaluate | None:
        """The closure of one part, None when nothing in it is to be evaluated."""
        if isinstance(value, dict):
            fields = [(key, item, self.part(item, f"{field}/{key}", (*pointer, key))) for key, item in value.items()]
            return _object(fields) if any(part for _, _, part in fields) else None
        if isinstance(value, list):
            items = [(item, self.part(item, f"{field}[{at}]", (*pointer, at))) for at, item in enumerate(value)]
            return _array(items) if any(part for _, part in items) else None
        if not self.language.is_expression(value):
            return None
        try:
            expression = self.language.expression(value, field)
        except ExpressionSyntaxError as mistake:
            self.issues.append(SyntaxIssue(pointer, mistake))
            return None
        self.references.update(expression.references)
        return expression.evaluate


def _object(fields: list[tuple[str, JSON, Evaluate | None]]) -> Evaluate:
    return lambda data, scope: {key: item if part is None else part(data, scope) for key, item, part in fields}


def _array(items: list[tuple[JSON, Evaluate | None]]) -> Evaluate:
    return lambda data, scope: [item if part is None else part(data, scope) for item, part in items]
