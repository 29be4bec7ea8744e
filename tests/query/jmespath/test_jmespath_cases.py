"""What expressions mean, as data: cases/*.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.errors import ExpressionSyntaxError
from engine.query.jmespath.compiler import compile_text
from engine.query.jmespath.evaluation import EvaluationError
from engine.query.jmespath.functions import FUNCTIONS
from engine.values import equal
from tests.query.jmespath.scope import FakeScope

CASES = Path(__file__).parent / "cases"


def groups(name: str) -> list[Any]:
    loaded: list[Any] = yaml.safe_load((CASES / name).read_text(encoding="utf-8"))
    return loaded


def evaluated() -> list[Any]:
    return [
        pytest.param(group["variables"], case, id=f"{group['about']}: {case['expression']}")
        for name in ("language.yaml", "functions.yaml")
        for group in groups(name)
        for case in group["cases"]
    ]


def outcome(expression: str, variables: dict[str, Any]) -> Any:
    """The result, or the reason why there is none."""
    try:
        return compile_text(expression).evaluate(FakeScope(variables=variables))
    except ExpressionSyntaxError:
        return {"error": "syntax"}
    except EvaluationError as reason:
        return {"error": str(reason)}


@pytest.mark.parametrize(("variables", "case"), evaluated())
def test_an_expression_gives_its_result(variables: dict[str, Any], case: dict[str, Any]) -> None:
    found = outcome(case["expression"], variables)
    if "error" in case:
        assert case["error"] in found["error"]
    else:
        assert equal(found, case["result"]), found


@pytest.mark.parametrize("case", groups("mistakes.yaml"), ids=lambda case: case["expression"])
def test_a_mistake_is_refused_with_its_place(case: dict[str, Any]) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_text(case["expression"])
    assert (caught.value.message, caught.value.offset) == (case["message"], case["offset"])
    if "hint" in case:
        assert caught.value.hint == case["hint"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_of_a_function_is_true(name: str) -> None:
    expression, data, result = FUNCTIONS[name].example
    assert f"{name}(" in expression
    assert equal(outcome(expression, data or {}), result)
