"""The registry and the reference page made from it."""

from __future__ import annotations

import inspect
import re
import runpy
from pathlib import Path

import pytest

from engine.query.jmespath.functions import FUNCTIONS, HOUSE
from engine.query.jmespath.reference import BEGIN, END, refreshed
from engine.query.jmespath.registry import Function, register
from engine.query.jmespath.standard import STANDARD

PAGE = Path(__file__).parents[3] / "docs" / "house-language.md"


def test_the_reference_page_is_fresh() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert refreshed(page) == page, "run: python -m engine.query.jmespath.reference"


def test_the_reference_module_renews_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text(encoding="utf-8")
    begin, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    copy = tmp_path / "docs" / "house-language.md"
    copy.parent.mkdir()
    copy.write_text(page[:begin] + "old" + page[end:], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.warns(RuntimeWarning, match="found in sys.modules"):
        runpy.run_module("engine.query.jmespath.reference", run_name="__main__")
    assert copy.read_text(encoding="utf-8") == page


def test_all_functions_of_the_specification_are_there() -> None:
    names = "abs avg ceil contains ends_with floor join keys length map max max_by merge min min_by not_null reverse "
    names += "sort sort_by starts_with sum to_array to_number to_string type values"
    assert sorted(STANDARD) == sorted(names.split())
    assert not STANDARD.keys() & HOUSE.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_documented_and_fits_its_signature(name: str) -> None:
    function = FUNCTIONS[name]
    assert re.fullmatch(r".+\.", function.summary)
    taken = list(inspect.signature(function.call).parameters.values())[1:]
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in taken):
        assert function.most == float("inf")
    else:
        assert len(taken) == function.most
    written = [parameter.default for parameter in function.parameters if parameter.default is not None]
    assert written == [str(parameter.default) for parameter in taken if parameter.default is not parameter.empty]


@pytest.mark.parametrize(
    ("signature", "wrong"),
    [
        ("broken", "not a signature"),
        ("f(a number) -> any", "not a parameter"),
        ("f(a: colour) -> any", "unknown type"),
        ("taken(a: any) -> any", "declared twice"),
    ],
)
def test_a_wrong_declaration_is_refused_at_import(signature: str, wrong: str) -> None:
    table: dict[str, Function] = {}
    register(table, "taken() -> any", ("taken()", None, None))(lambda run: None)
    with pytest.raises(ValueError, match=wrong):
        register(table, signature, ("", None, None))
