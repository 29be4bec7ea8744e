"""Documents: what is read, what is refused, and where things stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.definition import read_document, yaml_text
from engine.definition.document import MAX_NODES, MAX_PROBLEMS
from engine.definition.reader import MAX_CHARACTERS, read_text, read_value
from engine.errors import DefinitionError, Problem

TEXTS = [
    case["text"]
    for case in yaml.safe_load((Path(__file__).parent / "cases" / "text.yaml").read_text("utf-8"))
    if "text" in case
]


def refused(source: Any, **options: Any) -> Problem:
    """The only problem of a source that cannot be read."""
    with pytest.raises(DefinitionError) as caught:
        read_document(source, **options)
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


def codes(source: str, composer: type[Any], monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    monkeypatch.setattr(yaml_text, "COMPOSER", composer)
    try:
        document = read_text(source, file="flow.yaml")
    except DefinitionError as wrong:
        return [(problem.code, problem.line, problem.column) for problem in wrong.problems]
    return [document.value, *((problem.code, problem.line, problem.column) for problem in document.warnings)]


@pytest.mark.parametrize("text", [text for text in TEXTS if "\\ud8" not in text])
def test_libyaml_and_the_pure_composer_agree(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = codes(text, yaml_text.COMPOSER, monkeypatch)
    assert fast == codes(text, yaml_text.PureComposer, monkeypatch)


def test_without_libyaml_the_pure_composer_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert yaml_text.fast_composer() is not yaml_text.PureComposer
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert yaml_text.fast_composer() is yaml_text.PureComposer


def test_yaml_scalars_are_json_scalars() -> None:
    text = "[1, -0, 1.5, 1e3, -2E-2, true, false, null, 'true', \"1\", True_, 1.2.3, 10:30h]\n"
    value = read_text(f"a: {text}").value["a"]
    assert value == [1, 0, 1.5, 1000.0, -0.02, True, False, None, "true", "1", "True_", "1.2.3", "10:30h"]
    assert [type(item) for item in value[:5]] == [int, int, float, float, float]


def test_json_and_yaml_text_of_the_same_data_give_the_same_value() -> None:
    data = {"a": [1, {"b": None, "ü": "x\ny"}], "c": {"d": 1.5, "": []}}
    assert (
        read_text(yaml.safe_dump(data)).value
        == read_text(str(data).replace("'", '"').replace("None", "null")).value
        == data
    )


def test_what_reads_as_json_is_decided_by_the_name_and_the_first_character() -> None:
    flow = "{a: 1}"
    assert read_text(flow, file="flow.YML").value == {"a": 1}
    assert refused(f"{flow}\n").code == "bad-syntax"
    assert refused("a: 1\n", file="flow.json").code == "bad-syntax"
    assert read_text('\ufeff{"a": 1}').value == {"a": 1}


def test_a_value_is_copied() -> None:
    given = {"a": [1]}
    document = read_document(given)
    given["a"].append(2)
    assert document.value == {"a": [1]}
    assert document.position(("a",)) is None
    assert document.text is None


@pytest.mark.parametrize(
    ("value", "code", "pointer"),
    [
        ({"a": (1, 2)}, "not-json", ("a",)),
        ({"a": [b"x"]}, "not-json", ("a", 0)),
        ({"a": {1: 2}}, "bad-key", ("a", 1)),
        (float("nan"), "bad-number", ()),
        ([10**4000], "bad-number", (0,)),
        ({"a": "\udfff"}, "bad-character", ("a",)),
        ([0] * (MAX_NODES + 1), "too-large", ()),
        (object(), "not-json", ()),
    ],
)
def test_values_that_are_no_json_are_refused(value: Any, code: str, pointer: tuple[Any, ...]) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_value(value, file="given")
    problem = caught.value.problems[0]
    assert (problem.code, problem.pointer, problem.file, problem.line) == (code, pointer, "given", None)


def test_a_list_that_holds_itself_is_too_deep() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert refused(endless).code == "too-deep"


HOSTILE = {
    "many characters": ("a" * (MAX_CHARACTERS + 1), "too-large"),
    "a million lines": ("a: b\n" * 1_000_000, "too-large"),
    "many scalars": ("[" + "1," * 300_000 + "1]", "too-large"),
    "many YAML scalars": ("- a\n" * 260_000, "too-large"),
    "deep JSON": ("[" * 500_000, "too-deep"),
    "rather deep JSON": ('{"a":' * 300 + "1" + "}" * 300, "too-deep"),
    "deep YAML": ("a: " + "[" * 100_000, "too-deep"),
    "deep YAML objects": ("a: " + "{b: " * 100_000, "too-deep"),
    "deep brackets in an open text": ("a: '" + "[" * 1_000, "bad-syntax"),
    "deep indentation": ("- " * 100_000, "too-deep"),
    "a long number": ('{"a": ' + "1" * 5000 + "}", "bad-number"),
    "a long YAML number": ("a: " + "1" * 5000, "bad-number"),
    "an open string": ('"' + "a\n" * 200_000, "bad-syntax"),
    "laughter": (
        "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + "".join(
            f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "too-large",
    ),
    "a surrogate": ("a: \ud800\n", "bad-character"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_refused(name: str) -> None:
    text, code = HOSTILE[name]
    with pytest.raises(DefinitionError) as caught:
        read_text(text)
    assert [problem.code for problem in caught.value.problems] == [code]


@pytest.mark.parametrize("text", ["{" + '"a":1,' * 5000 + '"a":1}', "a: 1\n" * 5000, "1: 1\n" * 5000])
def test_the_number_of_problems_is_limited(text: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_text(text)
    assert len(caught.value.problems) == MAX_PROBLEMS


def test_the_number_of_warnings_is_limited() -> None:
    assert len(read_text("a: [" + "yes, " * 5000 + "yes]").warnings) == MAX_PROBLEMS


def test_files_are_read_from_a_path(tmp_path: Path) -> None:
    file = tmp_path / "flow.yaml"
    file.write_text("a: 1\n", "utf-8")
    for path in (file, str(file)):
        assert read_document(path).value == {"a": 1}
        assert read_document(path).file == str(file)
    assert read_document(file, file="my flow").file == "my flow"


def test_files_that_cannot_be_read_are_problems(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: \xfc\n")
    (tmp_path / "long.yaml").write_text("a" * (MAX_CHARACTERS + 9), "utf-8")
    assert refused(tmp_path / "latin.yaml").message.endswith("is not UTF-8 (byte 3)")
    assert refused(tmp_path).code == "unreadable-file"
    assert refused("nul\0byte").code == "unreadable-file"
    assert "An empty path" in refused("").message
    assert refused(tmp_path / "long.yaml").code == "too-large"


PLACES = """\
a:
  - first
  - {b: 1, c: "x"}
d e: |
  line one
  line two
f: plain text
"g": 'it''s'
h: "a\\u0041\\nb"
i: &anchor text
j: two
   lines
k: "two
  lines"
l: 'two
  lines'
m: >2
   indented
  by hand
"""


@pytest.mark.parametrize(
    ("pointer", "key", "offset", "place"),
    [
        ((), False, 0, (1, 1)),
        (("a",), False, 0, (2, 3)),
        (("a",), True, 0, (1, 1)),
        (("a", 0), False, 3, (2, 8)),
        (("a", 1), True, 0, (3, 5)),
        (("a", 1, "c"), False, 0, (3, 15)),
        (("a", 1, "c"), True, 0, (3, 12)),
        (("a", 1, "zz"), False, 0, (3, 5)),
        (("a", "zz", "b"), True, 0, (2, 3)),
        (("a", 0, "b"), True, 0, (2, 5)),
        (("d e",), False, 9 + 5, (6, 8)),
        (("f",), False, 6, (7, 10)),
        (("f",), False, 99, (7, 14)),
        (("g",), True, 0, (8, 1)),
        (("g",), False, 3, (8, 11)),
        (("h",), False, 3, (9, 14)),
        (("i",), False, 2, (10, 4)),
        (("j",), False, 4, (12, 4)),
        (("k",), False, 5, (13, 4)),
        (("l",), False, 5, (15, 4)),
        (("m",), False, 11, (19, 4)),
        (("a", 1, "b"), False, 4, (3, 9)),
        (("zz",), False, 4, (1, 1)),
    ],
)
def test_places_in_yaml(pointer: tuple[Any, ...], key: bool, offset: int, place: tuple[int, int]) -> None:
    assert read_text(PLACES).position(pointer, key=key, offset=offset) == place


@pytest.mark.parametrize(
    ("pointer", "key", "offset", "place"),
    [
        ((), False, 0, (1, 1)),
        (("a", 1), False, 0, (2, 2)),
        (("a", 1), True, 0, (2, 2)),
        (("b\n", "c"), False, 0, (3, 16)),
        (("b\n", "c"), True, 0, (3, 10)),
        (("b\n",), True, 0, (3, 2)),
        (("b\n", "zz"), True, 0, (3, 9)),
        (("d",), False, 3, (4, 28)),
    ],
)
def test_places_in_json(pointer: tuple[Any, ...], key: bool, offset: int, place: tuple[int, int]) -> None:
    text = '{"a": [1,\n 2],\r\n "b\\n": {"c" : null},\r "d": "\\u00e9\\ud83d\\ude95\\n!"}'
    assert read_text(text).position(pointer, key=key, offset=offset) == place


def test_long_lines_are_not_quoted() -> None:
    problem = refused('{"a": "' + "x" * 500 + '", }')
    assert problem.line == 1
    assert problem.column == 511
    assert problem.source is None
