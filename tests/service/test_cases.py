"""What each operation does, as data: cases/*.yaml. See playing.py for their form."""

from __future__ import annotations

from typing import Any

import pytest

from engine.service.shapes import OPERATIONS
from tests.service.playing import FOLDER, Play, load_cases

CASES = {
    f"{file.stem}: {name}": case
    for file in sorted(FOLDER.glob("*.yaml"))
    for name, case in load_cases(file.stem).items()
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_case(case: dict[str, Any]) -> None:
    Play(case).run()


def test_every_operation_has_a_case() -> None:
    called = {step["call"] for case in CASES.values() for step in case["steps"] if "call" in step}
    assert called == set(OPERATIONS)
