"""What people see, as data: events in, text out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cli.history import history_lines
from engine.cli.render import news_lines, status_line, tree_lines
from engine.cli.style import ASCII_MARKS, COLOURS, MARKS, Style, duration, json_text, one_line, table
from engine.cli.trace import Trace
from engine.core.events import HistoryEvent

START = datetime(2026, 5, 4, 12, 30, tzinfo=UTC).timestamp()
STYLE = Style(zone=UTC)
CASES = {case["name"]: case for case in yaml.safe_load((Path(__file__).parent / "views.yaml").read_text("utf-8"))}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def events_of(portion: dict[str, Any]) -> list[HistoryEvent]:
    return [(number, last, START + time, kind, details) for number, last, time, kind, details in portion["events"]]


def trace_of(case: dict[str, Any]) -> Trace:
    trace = Trace.of(event for portion in case["portions"] for event in events_of(portion))
    trace.park(case["portions"][-1].get("waiting", []))
    return trace


def text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


@every_case
def test_the_live_view_tells_what_has_just_happened(case: dict[str, Any]) -> None:
    trace, told = Trace(), []
    for portion in case["portions"]:
        told += news_lines(trace.add(events_of(portion)) + trace.park(portion.get("waiting", [])), STYLE)
    assert text(told) == case["live"]


@every_case
def test_the_tree_tells_what_has_happened(case: dict[str, Any]) -> None:
    trace = trace_of(case)
    assert text(tree_lines(trace, STYLE)) == case["tree"]
    assert status_line(trace, STYLE) == case["status"]


@every_case
def test_colours_and_ascii_change_nothing_else(case: dict[str, Any]) -> None:
    trace = trace_of(case)
    plain, coloured = (text(tree_lines(trace, Style(zone=UTC, colour=colour))) for colour in (False, True))
    for code in COLOURS.values():
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured.replace("\x1b[0m", "") == plain
    for name, mark in MARKS.items():
        plain = plain.replace(f"  {mark} ", f"  {ASCII_MARKS[name]} ")
    assert text(tree_lines(trace, Style(zone=UTC, unicode=False))) == plain
    assert plain.isascii()


def test_a_wide_map_is_shortened_but_never_hides_what_did_not_end_well() -> None:
    events: list[HistoryEvent] = [
        (1, 0, START, "ExecutionStarted", {"input": {}}),
        (2, 0, START, "MapStateEntered", {"name": "Each", "input": []}),
        (3, 2, START, "MapStateStarted", {"length": 5000}),
    ]
    for index in range(5000):
        number = 4 + 4 * index
        events.append((number, 3, START, "MapIterationStarted", {"name": "Each", "index": index}))
        events.append((number + 1, number, START, "WaitStateEntered", {"name": "Nap", "input": index}))
        if index != 4321:
            events.append((number + 2, number + 1, START + 1, "WaitStateExited", {"name": "Nap", "output": index}))
            events.append(
                (number + 3, number + 2, START + 1, "MapIterationSucceeded", {"name": "Each", "index": index})
            )
    trace = Trace.of(events)
    lines = tree_lines(trace, STYLE)
    assert len(lines) == 13
    assert lines[11] == "    +0.000  ▹   [4321] Nap                                 has not ended"
    assert lines[12].strip() == "… 4,989 more iterations; --full shows all"
    assert len(tree_lines(trace, STYLE, full=True)) == 5001


def test_long_causes_are_cut_unless_everything_is_asked_for() -> None:
    case = CASES["a Fail state is explained by the end of the execution"]
    trace = trace_of(case)
    assert text(tree_lines(trace, Style(zone=UTC, width=20))).rstrip().endswith("Booking.Refused: to…")
    assert text(tree_lines(trace, Style(zone=UTC, width=20, unicode=False))).rstrip().endswith("Booking.Refused: ...")


def test_the_history_has_one_line_for_each_event() -> None:
    case = CASES["iterations carry their number, and a running execution says what it waits for"]
    events = [event for portion in case["portions"] for event in events_of(portion)]
    events.append((15, 14, START + 2, "TaskFailed", {"error": "E", "cause": "c" * 200, "note": "a note"}))
    lines = history_lines(events, STYLE)
    assert lines[1] == " 2      2026-05-04 12:30:00.000  MapStateEntered        Each  input=[1,2,3]"
    assert lines[2] == " 3   2  2026-05-04 12:30:00.000  MapStateStarted        3 items"
    assert lines[3] == " 4   3  2026-05-04 12:30:00.000  MapIterationStarted    Each  [0]"
    assert lines[13] == "14  13  2026-05-04 12:30:00.500  TaskSubmitted          step:ask  output=null"
    assert lines[14] == f"15  14  2026-05-04 12:30:02.000  TaskFailed             E: {'c' * 116}…  note: a note"
    assert "c" * 200 in history_lines(events, STYLE, full=True)[14]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "<1 ms"),
        (0.0004, "<1 ms"),
        (0.012, "12 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.6, "1 h 00 min"),
        (86_399.6, "1 d 0 h"),
        (31_536_000, "365 d 0 h"),
    ],
)
def test_durations_are_for_people(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    assert one_line("a\x1b[2J\nb\x9bc\u202ed") == "a\\x1b[2J b\\x9bc\\u202ed"
    assert json_text("\x1b\x9b\x7f é") == '"\\u001b\\u009b\\u007f é"'
    assert json_text("é", ascii_only=True) == '"\\u00e9"'


def test_a_table_pads_every_column_but_the_last() -> None:
    assert table([["a", "bb", "c"], ["ddd", "", "eee"]]) == ["a    bb  c", "ddd      eee"]
    assert table([]) == []
