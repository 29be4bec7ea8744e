"""Every code that a Problem of a definition can have, with one sentence and one example."""

from __future__ import annotations

from typing import Final


class Code:
    """What a code means. `at_key`: the place is the name of the field or state, not its value."""

    __slots__ = ("at_key", "example", "meaning", "severity")

    def __init__(self, meaning: str, example: str, *, at_key: bool = False, severity: str = "error") -> None:
        self.meaning = meaning
        self.example = example
        self.at_key = at_key
        self.severity = severity


CODES: Final[dict[str, Code]] = {
    # -- the text ----------------------------------------------------------------------------------------------
    "unreadable-file": Code("The file cannot be read, or is not UTF-8.", "engine validate flows/none.yaml"),
    "bad-syntax": Code("The text is neither YAML nor JSON.", 'a: "not closed'),
    "bad-character": Code("The text holds a character that YAML or Unicode does not allow.", '"\\ud800"'),
    "bad-key": Code("A key is no text.", "1: one"),
    "bad-number": Code("A number is too large, or none that JSON knows.", "[1e999]"),
    "not-json": Code("A value given from Python has no JSON type.", "{'a': (1, 2)}"),
    "duplicate-key": Code("A key is given twice in one object.", "Next: A\nNext: B"),
    "too-large": Code("The text, or what its aliases make of it, is too large.", "(more than 1,048,576 characters)"),
    "too-deep": Code("Lists and objects are nested too deeply.", "[[[[…]]]]"),
    "ambiguous-scalar": Code("Other YAML readers take this text for something else.", "End: yes", severity="warning"),
    "yaml-alias": Code("An alias stands inside of what it stands for.", "a: &a [*a]"),
    "yaml-documents": Code("The file has more than one YAML document.", "a: 1\n---\nb: 2"),
    "yaml-merge": Code("Merge keys are not taken.", "<<: *defaults"),
    "yaml-tag": Code("Tags are not taken.", "Seconds: !!int '5'"),
    # -- fields ------------------------------------------------------------------------------------------------
    "missing-field": Code("A required field is missing.", "Type: Task   # without Resource", at_key=True),
    "unknown-field": Code("The object has no field of that name.", "Nxet: Book", at_key=True),
    "wrong-type": Code("The field's value has another type.", 'TimeoutSeconds: "9"'),
    "out-of-range": Code(
        "The number is too small or too large, or so that another one has no effect.",
        "MaxAttempts: -1",
        severity="error or warning",
    ),
    "empty-value": Code("The list, object or text must not be empty.", "Branches: []"),
    "unknown-value": Code("The field takes certain words only.", "Type: Job"),
    "both-forms": Code("Two fields say the same thing.", "Cause: a\nCausePath: $.a", at_key=True),
    # -- query languages ---------------------------------------------------------------------------------------
    "wrong-language": Code(
        "The field belongs to another query language.", "InputPath: $.a   # in JMESPath", at_key=True
    ),
    "unsupported-language": Code("The query language is not available in this engine.", "QueryLanguage: JSONata"),
    "language-downgrade": Code(
        "Under another language of the machine no state can have JSONPath.", "QueryLanguage: JSONPath"
    ),
    "bad-expression": Code("The expression has a mistake.", "'{% states.input. %}'"),
    "unsupported-expression": Code(
        "The expression uses what its language has and a flow has not.", "'{% order.id %}'   # JSONata's context"
    ),
    "bad-path": Code("The text is no path, or a path of a kind not allowed here.", "InputPath: order.id"),
    "bad-variable": Code(
        "A variable cannot or should not have that name.",
        "Assign: {states: 1}",
        at_key=True,
        severity="error or warning",
    ),
    "shadowed-variable": Code(
        "A branch or iteration sets a variable that has the name of one of the machine around it.",
        "Assign: {total: 1}",
        at_key=True,
        severity="warning",
    ),
    "undefined-variable": Code(
        "The expression reads a variable that no state sets.", "'{% ordr.id %}'", severity="error or warning"
    ),
    "no-result": Code(
        "The expression reads something that does not exist there.",
        "'{% states.result %}'   # in a Pass",
        severity="error or warning",
    ),
    "negative-index": Code(
        "A negative index never selects anything, on AWS as here.", "$.rides[-1]", severity="warning"
    ),
    # -- states and transitions --------------------------------------------------------------------------------
    "unknown-state": Code("There is no state of that name in this machine.", "Next: Bok"),
    "unreachable-state": Code("No transition leads to the state.", "States: {Orphan: {…}}", at_key=True),
    "duplicate-state": Code(
        "Two states have the same name, be it in different machines.", "States: {Book: …}", at_key=True
    ),
    "bad-name": Code("A state's name is empty, or longer than 80 characters.", "States: {'': {…}}", at_key=True),
    "bad-label": Code("A Map's label has more than 40 characters, or one that no ARN can have.", "Label: all rides"),
    "duplicate-label": Code("Two Maps have the same label.", "Label: rides"),
    "no-transition": Code("The state says neither where to go next nor that it is an end.", "Type: Pass", at_key=True),
    "next-and-end": Code("The state has both Next and End.", "Next: Book\nEnd: true", at_key=True),
    "no-end": Code(
        "The machine has no state in which it can end.",
        "A: {Type: Pass, Next: A}",
        at_key=True,
        severity="error or warning",
    ),
    "endless-loop": Code(
        "From this state no end can be reached.", "A: {Type: Pass, Next: A}", at_key=True, severity="warning"
    ),
    # -- state types -------------------------------------------------------------------------------------------
    "choice-operator": Code("A choice rule has no operator, or more than one.", "{Variable: $.a, Next: B}"),
    "nested-next": Code("Only the outermost choice rule has a Next.", "And: [{…, Next: B}]", at_key=True),
    "wait-forms": Code("A Wait has no time to wait for, or more than one.", "Type: Wait", at_key=True),
    "bad-timestamp": Code("The text is no RFC 3339 timestamp with a zone.", "Timestamp: tomorrow"),
    "states-all": Code("States.ALL stands alone in its list, in the last entry.", "ErrorEquals: [States.ALL, A]"),
    # -- resources ---------------------------------------------------------------------------------------------
    "bad-resource": Code("The text names no resource, or one that AWS does not have.", "Resource: taxi.book"),
    "unknown-step": Code("No step is registered under that name.", "Resource: step:taxi.bok"),
    "unknown-error": Code("The step declares no such error.", "ErrorEquals: [CardDeclned]", severity="warning"),
    "retry-in-doubt": Code(
        "A retry may run a step twice that must not run twice.", "ErrorEquals: [States.ALL]", severity="warning"
    ),
    "bad-credentials": Code("Credentials needs the field RoleArn.", "Credentials: {}"),
    "not-express": Code(
        "An Express workflow cannot wait for an answer, run an activity or a distributed Map.", "Resource: ….sync"
    ),
    # -- all ---------------------------------------------------------------------------------------------------
    "too-many-problems": Code("There are more problems than are shown.", "(the first 200 are shown)"),
}
