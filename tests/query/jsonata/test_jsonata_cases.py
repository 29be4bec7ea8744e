"""What expressions give, what is refused, and what is bounded, as data: cases/*.yaml."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query.jsonata import LANGUAGE, JSONata, fallback
from engine.query.jsonata.program import TOO_LONG
from engine.values import equal
from tests.query.jsonata.scope import FakeScope

CASES = Path(__file__).parent / "cases"
LANGUAGES = {"jlens": LANGUAGE, "jsonata2py": fallback.LANGUAGE}


def load(name: str) -> list[Any]:
    found: list[Any] = yaml.safe_load((CASES / f"{name}.yaml").read_text(encoding="utf-8"))
    return found


def expressions() -> list[Any]:
    return [
        pytest.param(library, group, case, id=f"{library}: {group['about']}: {case['expression']}")
        for library in LANGUAGES
        for group in load("expressions")
        for case in group["cases"]
        if case.get("only", library) == library
    ]


def outcome(language: JSONata, expression: str, **scope: Any) -> Any:
    """The result, or the end of the sentence that says why there is none."""
    compiled = language.expression(f"{{% {expression} %}}", "Output")
    try:
        return compiled.evaluate(None, FakeScope(**scope))
    except ExecutionFailure as caught:
        failure = caught
    assert failure.error == "States.QueryEvaluationError"
    begin = f"The JSONata expression '{expression}' specified for the field 'Output' "
    assert failure.cause is not None
    assert failure.cause.startswith(begin)
    return {"error": failure.cause.removeprefix(begin)}


@pytest.mark.parametrize(("library", "group", "case"), expressions())
def test_an_expression_gives_what_the_case_says(library: str, group: dict[str, Any], case: dict[str, Any]) -> None:
    found = outcome(LANGUAGES[library], case["expression"], input=group["input"], variables=group["variables"])
    if "error" in case:
        assert case["error"] in found["error"]
    else:
        assert equal(found, case["result"]), found


@pytest.mark.parametrize("case", load("mistakes"), ids=lambda case: case["expression"])
def test_a_mistake_is_refused_with_its_place(case: dict[str, Any]) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        LANGUAGE.expression("{%" + case["expression"] + "%}", "Output")
    assert (caught.value.message, caught.value.offset) == (case["message"], case["offset"] + 2)
    assert case.get("hint", "") in (caught.value.hint or "")


@pytest.mark.parametrize("case", load("mistakes"), ids=lambda case: case["expression"])
def test_the_fallback_refuses_the_same(case: dict[str, Any]) -> None:
    with pytest.raises(ExpressionSyntaxError):
        fallback.LANGUAGE.expression("{%" + case["expression"] + "%}", "Output")


@pytest.mark.parametrize("library", LANGUAGES)
@pytest.mark.parametrize("expression", load("accepted"))
def test_what_is_no_mistake_is_accepted(library: str, expression: str) -> None:
    assert LANGUAGES[library].expression("{%" + expression + "%}", "Output").source == expression.strip()


@pytest.mark.parametrize("case", load("hostile"), ids=lambda case: case["expression"][:60])
def test_a_hostile_expression_is_bounded(case: dict[str, Any]) -> None:
    begin = time.perf_counter()
    found = outcome(LANGUAGE, case["expression"], variables={"list": list(range(10_000))})
    # On a busy machine the time may be over first.
    assert case["says"] in found["error"] or TOO_LONG in found["error"]
    assert time.perf_counter() - begin < 10
