"""Plays the cases of cases/*.yaml against the API: calls in order, with placeholders for what differs from run to run.

`<name>` stands for a value: the first answer that has it fixes it, and it means the same ever after, in parameters too.
`<any>` stands for anything. `join` waits for an execution, `days` lets time go by.
"""

from __future__ import annotations

import json
import re
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from engine import StepError, TaskTimeout
from engine.runtime.clock import VirtualClock
from engine.service import ApiError, StepFunctionsApi

FOLDER = Path(__file__).parent / "cases"
START = datetime.fromisoformat("2026-05-04T12:00:00+00:00").timestamp()
HOLE = re.compile(r"<[a-z_ ]+>")
PATIENCE = 10.0


def load_cases(name: str) -> dict[str, dict[str, Any]]:
    """The cases of a file by their names."""
    cases = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
    return {case["name"]: case for case in cases}


class Tasks:
    """Answers tasks as a case says: by state, in order, the last answer again and again."""

    def __init__(self, answers: dict[str, list[Any]]) -> None:
        self._answers = {state: list(given) for state, given in answers.items()}
        self._lock = threading.Lock()

    def __call__(self, call: Any) -> Any:
        with self._lock:
            left = self._answers[call.state]
            answer = left.pop(0) if len(left) > 1 else left[0]
        if answer == "silence":
            raise TaskTimeout
        if "error" in answer:
            raise StepError(answer["error"], answer.get("cause"))
        return answer["result"]


class Play:
    """One case being played."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.known: dict[str, Any] = {}

    def run(self) -> None:
        """Make the calls and compare. Raises AssertionError with the step that differs."""
        tasks = Tasks(self.case["tasks"]) if "tasks" in self.case else None
        clock = VirtualClock(START)
        with StepFunctionsApi(tasks=tasks, clock=clock, poll_seconds=0.0) as api:
            for number, step in enumerate(self.case["steps"], 1):
                if "join" in step:
                    assert api.join(self.fill(step["join"]), PATIENCE), "the execution does not end"
                elif "days" in step:
                    clock.advance(86_400 * step["days"])
                else:
                    self.step(api, number, step)

    def step(self, api: StepFunctionsApi, number: int, step: dict[str, Any]) -> None:
        where = f"step {number}, {step['call']}"
        try:
            found = plain(api.call(step["call"], self.fill(step.get("with", {}))))
        except ApiError as refused:
            found = {"code": refused.code, "message": refused.message}
            assert "refused" in step, f"{where}:\n refused with {found}"
            expected = step.get("refused")
        else:
            expected = step.get("answer")
            if "having" in step:
                expected, found = step["having"], {name: found.get(name) for name in step["having"]}
        if expected is not None or "refused" in step:
            assert self.same(expected, found), f"{where}:\n expected {expected}\n    found {found}"

    def fill(self, value: Any) -> Any:
        """A parameter with its placeholders filled in."""
        if isinstance(value, dict):
            return {key: self.fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, str):
            return HOLE.sub(lambda hole: str(self.known.get(hole[0], hole[0])), value)
        return value

    def same(self, expected: Any, found: Any) -> bool:
        """Whether they are equal, placeholders aside."""
        if isinstance(expected, str) and HOLE.fullmatch(expected):
            return expected == "<any>" or self.known.setdefault(expected, found) == found
        if isinstance(expected, str) and HOLE.search(expected):
            return self.fits(expected, found)
        if isinstance(expected, dict) and isinstance(found, dict):
            return expected.keys() == found.keys() and all(
                self.same(item, found[key]) for key, item in expected.items()
            )
        if isinstance(expected, list) and isinstance(found, list):
            return len(expected) == len(found) and all(map(self.same, expected, found))
        return type(expected) is type(found) and bool(expected == found)

    def fits(self, expected: str, found: Any) -> bool:
        """A text with placeholders inside."""
        filled = HOLE.sub(lambda hole: str(self.known.get(hole[0], hole[0])), expected)
        pattern = "".join(f"({HOLE.pattern})" if HOLE.fullmatch(part) else re.escape(part) for part in _parts(filled))
        pattern = pattern.replace(f"({HOLE.pattern})", "(.+?)")
        match = re.fullmatch(pattern, found, re.DOTALL) if isinstance(found, str) else None
        if match is None:
            return False
        for hole, text in zip(HOLE.findall(filled), match.groups(), strict=True):
            self.known.setdefault(hole, text)
        return True


def _parts(text: str) -> list[str]:
    return re.split(f"({HOLE.pattern})", text)


DOCUMENTS = {"definition", "input", "output", "parameters"}


def plain(value: Any, name: str = "", around: str = "") -> Any:
    """An answer with its JSON texts decoded, and its times as texts."""
    if isinstance(value, dict):
        return {key: plain(item, key, name) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, str) and (name in DOCUMENTS or around == "inspectionData"):
        return json.loads(value)
    return value
