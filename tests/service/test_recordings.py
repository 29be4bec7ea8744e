"""What was recorded on AWS, where the recordings lie beside the checkout: TestState and the judging of definitions."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "conformance"
OTHERWISE = {
    "test_strict_mode_aws_sdk_lambda_get_function_task[integer_more_than_maximum_allowed]": (
        "AWS has raised the limit of MemorySize since"
    ),
    "test_sfn_start_execution_success": "the recording holds another ARN than was sent",
    "test_state_map_context_object[EXECUTION_INPUT]": "an ItemsPath may lead to an object here, which AWS refuses",
}
"""Recordings that are not met, and why."""


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    file = FOLDER / "run.py"
    if not file.exists():
        pytest.skip("there are no recordings beside this checkout")
    spec = importlib.util.spec_from_file_location("conformance_run", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


@pytest.mark.parametrize(("kind", "fewest"), [("test_state", 110), ("validate", 10)])
def test_the_service_answers_as_aws_did(kind: str, fewest: int, runner: ModuleType) -> None:
    cases = [json.loads(file.read_text("utf-8")) for file in sorted((FOLDER / "aws-recordings").rglob("*.json"))]
    wrong = {}
    checked = 0
    for case in cases:
        if case.get("kind") == kind and not any(case["name"].endswith(known) for known in OTHERWISE):
            checked += 1
            differences = runner.judge(case, False)
            if differences:
                wrong[case["name"]] = differences
    assert wrong == {}
    assert checked >= fewest
