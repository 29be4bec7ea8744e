"""The flows that are measured."""

from __future__ import annotations

from typing import Any

TEN_STATES = """
StartAt: S0
States:
  S0: {Type: Pass, Next: T1}
  T1: {Type: Task, Resource: "step:work", Next: P2}
  P2: {Type: Pass, Result: {ready: true}, ResultPath: $.flags, Next: C3}
  C3:
    Type: Choice
    Choices: [{Variable: $.flags.ready, BooleanEquals: true, Next: T4}]
    Default: S9
  T4: {Type: Task, Resource: "step:work", ResultPath: $.quote, Next: P5}
  P5: {Type: Pass, Parameters: {"id.$": $.id, "quote.$": $.quote}, Next: T6}
  T6: {Type: Task, Resource: "step:work", ResultPath: $.ride, Next: P7}
  P7: {Type: Pass, InputPath: $, Next: T8}
  T8: {Type: Task, Resource: "step:work", ResultPath: null, Next: S9}
  S9: {Type: Succeed}
"""
TEN_STATES_JMESPATH = """
QueryLanguage: JMESPath
StartAt: S0
States:
  S0: {Type: Pass, Next: T1}
  T1: {Type: Task, Resource: "step:work", Arguments: "{% states.input %}", Next: P2}
  P2: {Type: Pass, Assign: {ready: true}, Next: C3}
  C3:
    Type: Choice
    Choices: [{Condition: "{% ready %}", Next: T4}]
    Default: S9
  T4: {Type: Task, Resource: "step:work", Assign: {quote: "{% states.result.id %}"}, Next: P5}
  P5: {Type: Pass, Output: {id: "{% states.input.id %}", quote: "{% quote %}"}, Next: T6}
  T6: {Type: Task, Resource: "step:work", Output: "{% states.result %}", Next: P7}
  P7: {Type: Pass, Next: T8}
  T8: {Type: Task, Resource: "step:work", Output: "{% states.input %}", Next: S9}
  S9: {Type: Succeed}
"""
TEN_STATES_JSONATA = """
QueryLanguage: JSONata
StartAt: S0
States:
  S0: {Type: Pass, Next: T1}
  T1: {Type: Task, Resource: "step:work", Arguments: "{% $states.input %}", Next: P2}
  P2: {Type: Pass, Assign: {ready: true}, Next: C3}
  C3:
    Type: Choice
    Choices: [{Condition: "{% $ready %}", Next: T4}]
    Default: S9
  T4: {Type: Task, Resource: "step:work", Assign: {quote: "{% $states.result.id %}"}, Next: P5}
  P5: {Type: Pass, Output: {id: "{% $states.input.id %}", quote: "{% $quote + 1 %}"}, Next: T6}
  T6: {Type: Task, Resource: "step:work", Output: "{% $states.result %}", Next: P7}
  P7: {Type: Pass, Next: T8}
  T8: {Type: Task, Resource: "step:work", Output: "{% $states.input %}", Next: S9}
  S9: {Type: Succeed}
"""
LENGTH = 5


def chain(length: int = LENGTH) -> dict[str, Any]:
    """That many steps, one after the other."""
    names = [f"S{number}" for number in range(length)]
    after: list[dict[str, Any]] = [{"Next": name} for name in names[1:]] + [{"End": True}]
    states = {name: {"Type": "Task", "Resource": "step:work", **way} for name, way in zip(names, after, strict=True)}
    return {"StartAt": names[0], "States": states}


def wait(seconds: int) -> dict[str, Any]:
    """Wait, and nothing else."""
    return {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": seconds, "End": True}}}


def each(**processor: Any) -> dict[str, Any]:
    """A Map that does something with each item of its input: by default nothing."""
    state = processor or {"Type": "Pass"}
    item = {"StartAt": "I", "States": {"I": {**state, "End": True}}}
    return {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": item, "End": True}}}
