"""The data-flow stages of a state, composed once at load.

JSONPath states:  InputPath, Parameters -> work -> ResultSelector, ResultPath, OutputPath; Assign sees the result as it
                  came from the work, before ResultSelector (AWS, "Passing data between states with variables").
The others:       Arguments -> work -> Output; Assign sees the whole scope.

Each function reads the fields it owns and answers `Stages` whose absent parts are None, so that a plain state pays
for nothing. Source: States Language specification, "Input and Output Processing"; AWS, "Processing input and output".
"""

from __future__ import annotations

from engine.machine import Catcher, Fields, Retrier
from engine.outcomes import Assign, Prepare, Produce, Stages
from engine.query import Evaluate, Scope
from engine.values import JSON

ERROR_LISTS = {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}
PATH = {"type": ["string", "null"], "description": "JSONPath only."}
ASSIGN = {"type": "object", "description": "Variables to set: name to value or expression."}


def state_stages(
    fields: Fields, *, arguments: bool = False, selector: bool = False, result_path: bool = False, assign: bool = True
) -> Stages:
    """The stages of a state. The flags say which fields its type has beyond InputPath, OutputPath and Output."""
    if fields.by_path:
        prepare = _path_prepare(fields, parameters=arguments)
        selected = fields.template("ResultSelector", languages="path") if selector else None
        produce = _path_produce(fields, selected.evaluate if selected else None, result_path)
        return Stages(prepare, produce, _path_assign(fields) if assign else None)
    template = fields.template("Arguments", languages="expression") if arguments else None
    return Stages(
        template.evaluate if template else None,
        _expression_output(fields, "Output"),
        _expression_assign(fields) if assign else None,
    )


def _path_prepare(fields: Fields, *, parameters: bool) -> Prepare | None:
    where = fields.path("InputPath", nullable=True)
    template = fields.template("Parameters", languages="path") if parameters else None
    if where is None:
        return template.evaluate if template else None
    select = where.evaluate
    if template is None:
        return select
    build = template.evaluate
    return lambda data, scope: build(select(data, scope), scope)


def _path_produce(fields: Fields, select: Evaluate | None, result_path: bool) -> Produce | None:
    """Raw input and result -> output, for JSONPath."""
    reference = fields.reference_path("ResultPath") if result_path else None
    discard = result_path and fields.has("ResultPath") and fields.raw("ResultPath") is None
    out = fields.path("OutputPath", nullable=True)
    finish = out.evaluate if out else None

    if discard:
        if finish is None:
            return lambda data, result, scope: data
        return lambda data, result, scope: finish(data, scope)
    put = reference.put if reference is not None and reference.source != "$" else None
    if select is None and put is None and finish is None:
        return None

    def produce(data: JSON, result: JSON, scope: Scope) -> JSON:
        output = result if select is None else select(result, scope)
        if put is not None:
            output = put(data, output)
        return output if finish is None else finish(output, scope)

    return produce


def _path_assign(fields: Fields) -> Assign | None:
    template = fields.template("Assign")
    if template is None:
        return None
    build = template.evaluate

    def assign(data: JSON, result: JSON, scope: Scope) -> dict[str, JSON]:
        found: dict[str, JSON] = build(result, scope)
        return found

    return assign


def _expression_output(fields: Fields, name: str) -> Produce | None:
    template = fields.template(name, languages="expression")
    if template is None:
        return None
    build = template.evaluate
    return lambda data, result, scope: build(data, scope)


def _expression_assign(fields: Fields) -> Assign | None:
    template = fields.template("Assign")
    if template is None:
        return None
    build = template.evaluate

    def assign(data: JSON, result: JSON, scope: Scope) -> dict[str, JSON]:
        found: dict[str, JSON] = build(data, scope)
        return found

    return assign


def rule_stages(fields: Fields, state: Stages) -> Stages:
    """The stages of one choice rule: its own Assign and Output; the state's own belong to Default (AWS)."""
    if fields.by_path:
        return Stages(None, state.produce, _path_assign(fields))
    return Stages(None, _expression_output(fields, "Output"), _expression_assign(fields))


def read_retriers(fields: Fields) -> tuple[Retrier, ...]:
    """The entries of Retry."""
    retriers = []
    for entry in fields.objects("Retry"):
        entry.text("Comment")
        errors = entry.texts("ErrorEquals", required=True)
        interval = entry.integer("IntervalSeconds", minimum=1)
        attempts = entry.integer("MaxAttempts")
        rate = entry.number("BackoffRate", minimum=1)
        longest = entry.integer("MaxDelaySeconds", minimum=1, maximum=31_622_400)
        if longest is not None and longest <= (interval or 1):
            entry.problem(
                "out-of-range",
                "MaxDelaySeconds should be greater than IntervalSeconds: every delay will be MaxDelaySeconds",
                "MaxDelaySeconds",
                severity="warning",
            )
        jitter = entry.one_of("JitterStrategy", ("FULL", "NONE"))
        entry.done()
        retriers.append(
            Retrier(
                errors,
                1 if interval is None else interval,
                3 if attempts is None else attempts,
                2.0 if rate is None else rate,
                longest,
                jitter == "FULL",
            )
        )
    return tuple(retriers)


def read_catchers(fields: Fields) -> tuple[Catcher, ...]:
    """The entries of Catch."""
    catchers = []
    for entry in fields.objects("Catch"):
        entry.text("Comment")
        errors = entry.texts("ErrorEquals", required=True)
        target = entry.state_name("Next", required=True)
        if entry.by_path:
            stages = Stages(None, _path_produce(entry, None, result_path=True), _path_assign(entry))
        else:
            stages = Stages(None, _expression_output(entry, "Output"), _expression_assign(entry))
        entry.done()
        catchers.append(Catcher(errors, target or "", stages))
    return tuple(catchers)


def read_flow(fields: Fields) -> tuple[str | None, bool]:
    """Next and End: exactly one of them. Answers (next, end)."""
    target = fields.state_name("Next")
    end = fields.boolean("End")
    if fields.has("Next") and end:
        fields.problem("next-and-end", "A state has Next or End, not both", "End", hint="remove one of them")
    elif not fields.has("Next") and not end:
        fields.problem("no-transition", "The state needs a Next, or End: true", hint="add Next or End: true")
    return target, bool(end)


RETRY_SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["ErrorEquals"],
        "additionalProperties": False,
        "properties": {
            "Comment": {"type": "string"},
            "ErrorEquals": ERROR_LISTS,
            "IntervalSeconds": {"type": "integer", "minimum": 1, "default": 1},
            "MaxAttempts": {"type": "integer", "minimum": 0, "maximum": 99_999_999, "default": 3},
            "BackoffRate": {"type": "number", "minimum": 1, "default": 2.0},
            "MaxDelaySeconds": {"type": "integer", "minimum": 1, "maximum": 31_622_400},
            "JitterStrategy": {"enum": ["FULL", "NONE"], "default": "NONE"},
        },
    },
}
CATCH_SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["ErrorEquals", "Next"],
        "additionalProperties": False,
        "properties": {
            "Comment": {"type": "string"},
            "ErrorEquals": ERROR_LISTS,
            "Next": {"type": "string"},
            "ResultPath": PATH,
            "OutputPath": PATH,
            "Output": {"description": "Expression languages only."},
            "Assign": ASSIGN,
        },
    },
}
FLOW_SCHEMA: dict[str, JSON] = {"Next": {"type": "string"}, "End": {"type": "boolean"}}
PATH_IO: dict[str, JSON] = {"InputPath": PATH, "OutputPath": PATH}
OUTPUT: dict[str, JSON] = {"Output": {"description": "Expression languages only."}, "Assign": ASSIGN}
