"""Choice: go where the first matching rule says."""

from __future__ import annotations

from typing import ClassVar

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.machine import Fields, State, state_type
from engine.outcomes import Goto, Outcome, Stages
from engine.query import Evaluate, Expression, Scope
from engine.states.choice_operators import OPERATORS, compile_comparison
from engine.states.results import language_of, unexpected
from engine.states.stages import ASSIGN, OUTPUT, PATH_IO, rule_stages, state_stages
from engine.values import JSON

NO_MATCH = "Failed to transition out of the state. The state does not point to a next state."
"""AWS's cause where no rule holds; its error is States.Runtime (measured), not States.NoChoiceMatched as documented."""
COMBINATIONS = ("And", "Or", "Not")


def _rule_schema() -> dict[str, JSON]:
    nested = {"$ref": "#/$defs/ChoiceRule"}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "Comment": {"type": "string"},
            "Next": {"type": "string"},
            "Condition": {"type": ["string", "boolean"], "description": "Expression languages only."},
            "Output": {"description": "Expression languages only."},
            "Assign": ASSIGN,
            "Variable": {"type": "string", "description": "JSONPath only."},
            "And": {"type": "array", "minItems": 1, "items": nested},
            "Or": {"type": "array", "minItems": 1, "items": nested},
            "Not": nested,
            **{name: operator.operand for name, operator in OPERATORS.items()},
        },
    }


class Rule:
    """One choice rule: its condition, where it leads, its own stages."""

    __slots__ = ("condition", "evaluate", "next", "place", "stages")

    def __init__(
        self, evaluate: Evaluate, target: str, stages: Stages, condition: Expression | None, place: str
    ) -> None:
        self.evaluate = evaluate
        self.next = target
        self.stages = stages
        self.condition = condition
        self.place = place


@state_type
class Choice(State):
    """Goes to the state of the first rule that holds, else to Default. Without Default it fails."""

    __slots__ = ("default", "language", "rules", "strict")

    TYPE = "Choice"
    REQUIRED = ("Choices",)
    SCHEMA: ClassVar[dict[str, JSON]] = {
        **PATH_IO,
        **OUTPUT,
        "Choices": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/ChoiceRule"}},
        "Default": {"type": "string"},
    }
    DEFS: ClassVar[dict[str, JSON]] = {"ChoiceRule": _rule_schema()}
    EXAMPLE = """
        Type: Choice
        Choices:
          - {Variable: $.ride.status, StringEquals: PENDING, Next: Done}
        Default: Done
    """

    def __init__(self, name: str, fields: Fields) -> None:
        self.next, self.end = None, False
        self.retriers = self.catchers = ()
        self.stages = state_stages(fields)
        self.strict = not fields.by_path
        self.language = language_of(fields)
        self.default = fields.state_name("Default")
        self.rules = [self._rule(entry) for entry in fields.objects("Choices", required=True)]

    def _rule(self, fields: Fields) -> Rule:
        fields.text("Comment")
        target = fields.state_name("Next", required=True)
        stages = rule_stages(fields, self.stages)
        condition = None
        if fields.by_path:
            evaluate = _condition(fields)
        else:
            evaluate, condition = _expression_condition(fields)
        fields.done()
        return Rule(evaluate, target or "", stages, condition, fields.place("Condition"))

    def enter(self, data: JSON, scope: Scope) -> Outcome:
        for rule in self.rules:
            holds = rule.evaluate(data, scope)
            if holds is True:
                return Goto(rule.next, data, rule.stages)
            if holds is not False and self.strict:
                assert rule.condition is not None, "a literal condition is a boolean"
                raise unexpected(self.language, rule.condition, rule.place, "boolean", holds)
        if self.default is None:
            raise ExecutionFailure("States.Runtime", NO_MATCH)
        return Goto(self.default, data, self.stages)


def _never(data: JSON, scope: Scope) -> bool:
    """Stands in for the condition of a rule that has problems."""
    raise AssertionError("a machine with problems never runs")


def _expression_condition(fields: Fields) -> tuple[Evaluate, Expression | None]:
    """Condition of an expression language: `{% … %}`, or a literal boolean."""
    if isinstance(fields.raw("Condition"), bool):
        fixed = bool(fields.boolean("Condition"))
        return (lambda data, scope: fixed), None
    condition = fields.expression("Condition", required=True)
    return (condition.evaluate, condition) if condition else (_never, None)


def _condition(fields: Fields) -> Evaluate:
    """A JSONPath rule: And, Or, Not, or Variable with one comparison operator."""
    given = [name for name in COMBINATIONS if fields.has(name)]
    operators = [name for name in OPERATORS if fields.has(name)]
    if len(given) + len(operators) != 1:
        fields.problem(
            "choice-operator",
            f"A choice rule needs exactly one operator, And, Or or Not; this one has {len(given) + len(operators)}",
            *(given + operators)[1:2],
            hint="as StringEquals, NumericGreaterThan, IsPresent … beside Variable",
        )
        for name in operators:
            fields.literal(name)
        fields.text("Variable")
        return _never
    if operators:
        return _comparison(fields, operators[0])
    if given[0] == "Not":
        entry = fields.object("Not")
        return _negation(_nested(entry)) if entry else _never
    parts = [_nested(entry) for entry in fields.objects(given[0], required=True)]
    if given[0] == "And":
        return lambda data, scope: all(part(data, scope) for part in parts)
    return lambda data, scope: any(part(data, scope) for part in parts)


def _nested(fields: Fields) -> Evaluate:
    fields.text("Comment")
    if fields.has("Next"):
        fields.literal("Next")
        fields.problem("nested-next", "Next belongs to the outermost rule only", "Next", hint="move it outwards")
    evaluate = _condition(fields)
    fields.done()
    return evaluate


def _negation(inner: Evaluate) -> Evaluate:
    return lambda data, scope: not inner(data, scope)


def _comparison(fields: Fields, name: str) -> Evaluate:
    variable = fields.path("Variable")
    operand = fields.literal(name)
    if variable is None:
        if not fields.has("Variable"):
            fields.problem("missing-field", "A comparison needs the field Variable", hint="add Variable: $.path")
        return _never
    try:
        return compile_comparison(variable, name, operand)
    except ExpressionSyntaxError as wrong:
        fields.problem("wrong-type", wrong.message, name, hint=wrong.hint)
        return _never
