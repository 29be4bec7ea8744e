"""Executions, frames and decisions as rows, the same for every database.

The root frame is a column of its execution, since most executions have no other; further frames have rows of their own,
so that a wide Map never rewrites its siblings. What a Map with many items keeps as it is while they are run, the items
among it, has a row beside its frame's, so that the end of each writes counters only. Of a frame, what is mostly as in a
fresh one is left out when it is. A payload that is handed on as it is stands in a row once.

JSON is written in UTF-8, and in ASCII where there is half a surrogate pair: a text that is good JSON and that no
database takes raw. (A NUL is escaped either way.) It is read by the standard library, which keeps large integers exact.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, cast

import orjson

from engine.core.events import Decision, HistoryEvent, StartTimer
from engine.core.execution import FORMAT, LATER, ROOT, RUNNING, SUCCEEDED, Execution, Frame
from engine.core.working import EXPRESS_SECONDS
from engine.stores import Change, Redrive, Start, Stored
from engine.values import JSON

_encode_any: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode

COLUMNS: Final = frozenset(
    {"name", "status", "input", "output", "error", "cause", "started", "stopped", "events", "sequence", "runs"}
)
"""What of an execution has a column of its own; everything else changes with a redrive only, and stands in `header`."""

HEADER: Final = tuple(
    (name, LATER.get(name, object())) for name in Execution.__slots__ if name != "frames" and name not in COLUMNS
)
"""The names of what stands there, each with the value that is left out."""

FRESH: Final = Frame(ROOT, "", None, 0).to_json()

RARE: Final = ("apart", "beat", "due", "earlier", "events", "output", "variables")
"""The fields of a frame that are mostly as in a fresh one."""
USUAL: Final = tuple(FRESH[name] for name in RARE)
rare_of: Final = attrgetter(*RARE)

GIVEN_UP: Final = "this process was silent for longer than its lease; others have taken over"

SHARE_FROM: Final = 1024
"""From this length on, the events of a decision are written so that what stands in several of them is there once."""
SHORT: Final = 64
"""Texts up to this length are written where they stand."""

MANY: Final = 20
"""Most children whose frame is written as a whole each time that one of them ends."""
BESIDE: Final = "+"
"""After its path: the row of what a frame keeps as it is while it has children."""

FrameRow = tuple[int, str, str]
HistoryRow = tuple[int, int, str]


def encode(value: JSON) -> str:
    """JSON text for a column. All numbers are finite: values are checked where they come in."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # an integer beyond 64 bits, half a surrogate pair, deeper than 254 levels
        return _encode_any(value)


def advance_row(change: Change, owner: int) -> tuple[Any, ...]:
    """The values of the statement `advance`: the execution goes on, with the same owner."""
    execution = change.decision.execution
    state, frame = root(change.decision)
    return state, execution.events, execution.sequence, execution.runs, frame, change.key, change.version, owner


def park_row(change: Change, owner: int) -> tuple[Any, ...]:
    """The values of the statement `park`: the execution goes on later."""
    return (change.wakes, change.parked, *advance_row(change, owner))


def finish_row(change: Change, owner: int) -> tuple[Any, ...]:
    """The values of the statement `finish`: the execution has ended. Unless it succeeded it keeps its frames."""
    execution = change.decision.execution
    return (
        execution.status != SUCCEEDED,
        root(change.decision)[1],
        execution.status,
        execution.stopped,
        optional(execution.error),
        optional(execution.cause),
        encode(execution.output) if execution.status == SUCCEEDED else None,
        execution.events,
        execution.sequence,
        execution.runs,
        change.key,
        change.version,
        owner,
    )


def start_row(start: Start, owner: int | None) -> tuple[Any, ...]:
    """The values of the statement `start`."""
    execution = start.decision.execution
    ended = execution.status != RUNNING
    state, frame = root(start.decision)
    return (
        execution.name,
        plain(start.flow),
        execution.status,
        owner if start.owned and not ended else None,
        None if ended or start.owned else _wakes(start.decision),
        None if ended else state,
        execution.events,
        execution.sequence,
        execution.runs,
        execution.started,
        execution.stopped,
        optional(execution.error),
        start.definition,
        header(execution),
        optional(execution.cause),
        None if execution.status == SUCCEEDED else frame,
        encode(execution.input),
        encode(execution.output) if execution.status == SUCCEEDED else None,
    )


def _wakes(decision: Decision) -> float:
    """When a worker is to take a new execution up: at once, or when it has nothing to do before a timer, then."""
    execution, due = decision.execution, []
    for command in decision.commands:
        if not isinstance(command, StartTimer):
            return execution.started
        due.append(command.due)
    if execution.deadline is not None and due:
        due.append(execution.deadline)
    return min(due, default=execution.started)


def reopen_row(redriven: Redrive) -> tuple[Any, ...]:
    """The values of the statement `reopen`: the execution goes on, or has ended once more."""
    execution = redriven.decision.execution
    going_on = execution.status == RUNNING
    state, frame = root(redriven.decision)
    return (
        execution.status,
        0.0 if going_on else None,
        state if going_on else None,
        None if execution.status == SUCCEEDED else frame,
        execution.events,
        execution.sequence,
        execution.runs,
        execution.stopped,
        optional(execution.error),
        optional(execution.cause),
        encode(execution.output) if execution.status == SUCCEEDED else None,
        redriven.definition,
        header(execution),
        redriven.key,
        redriven.version,
    )


def header(execution: Execution) -> str:
    """The column `header`."""
    facts: dict[str, JSON] = {"format": FORMAT}
    for name, usual in HEADER:
        value = getattr(execution, name)
        if value != usual:
            facts[name] = value
    return encode(facts)


def redrives(text: str) -> int:
    """How often an execution was redriven, by its column `header`."""
    return int(json.loads(text).get("redrives", 0)) if '"redrives"' in text else 0


def history_rows(decisions: Iterable[tuple[int, Decision]]) -> Iterator[HistoryRow]:
    """One row for each decision that has history: key, first id, events."""
    for key, decision in decisions:
        if decision.history:
            yield key, decision.history[0][0], history_text(decision.history)


def history_text(events: Sequence[HistoryEvent]) -> str:
    """The events of a decision: `[id, previous, time, type, details]` each; or, of long ones, `[events, values]`.

    Then events have a sixth element where details stand apart: their names. Such a detail is an index of `values`.
    """
    text = encode(events)
    if len(text) < SHARE_FROM:
        return text
    values: list[JSON] = []
    places: dict[int, int] = {}
    written: list[JSON] = []
    for number, before, time, kind, details in events:
        apart = {name: value for name, value in details.items() if _long(value)} if details else None
        if not apart:
            written.append((number, before, time, kind, details))
            continue
        for value in apart.values():
            if places.setdefault(id(value), len(values)) == len(values):
                values.append(value)
        indexes = {name: places[id(value)] for name, value in apart.items()}
        written.append((number, before, time, kind, {**(details or {}), **indexes}, list(indexes)))
    return encode([written, values])


def _long(value: JSON) -> bool:
    return len(value) > SHORT if isinstance(value, str) else bool(value) and isinstance(value, dict | list)


def frame_rows(decisions: Iterable[tuple[int, Decision]]) -> tuple[list[FrameRow], list[tuple[int, str]]]:
    """The rows of the frames below the root that changed and of what stands beside frames, and the keys of those that
    are gone."""
    written, gone = [], []
    for key, decision in decisions:
        for path, frame in decision.frames.items():
            before = decision.execution.frames.get(path)  # the decision has not been applied yet
            kept = None if frame is None or frame.fork is None else _kept(frame)
            had = None if before is None or before.fork is None else _kept(before)
            if kept is not None and (
                had is None or any(one is not other for one, other in zip(kept, had, strict=True))
            ):
                written.append((key, path + BESIDE, _beside(path, kept)))
            elif had is not None and kept is None:
                gone.append((key, path + BESIDE))
            if path == ROOT:
                continue
            if frame is None:
                gone.append((key, path))
            else:
                written.append((key, path, frame_body(frame)))
    return written, gone


def wide(decision: Decision) -> bool:
    """Whether there may be rows of frames to write or remove."""
    frames = decision.frames
    if not frames or (len(frames) == 1 and ROOT in frames):
        return any(_kept(frame) for frame in (frames.get(ROOT), decision.execution.frames.get(ROOT)))
    return True


def _kept(frame: Frame | None) -> tuple[JSON, ...] | None:
    """Input, variables, prepared input and items of a frame with many children; None of any other."""
    fork = None if frame is None else frame.fork
    if frame is None or fork is None or fork.count <= MANY or fork.whole:
        return None
    return frame.input, frame.variables, fork.source, fork.items


def _beside(path: str, kept: tuple[JSON, ...]) -> str:
    """The row beside a frame: its path, the place of each of those values, and the values, each once."""
    values: list[JSON] = []
    places: list[int] = []
    for value in kept:
        place = next((place for place, other in enumerate(values) if other is value), len(values))
        values += [value] if place == len(values) else []
        places.append(place)
    return encode([path, places, values])


def frame_body(frame: Frame) -> str:
    """A frame as JSON text, without what stands beside it."""
    fork = frame.fork
    beside = fork is not None and _kept(frame) is not None
    body: dict[str, JSON] = {
        "path": frame.path,
        "state": frame.state,
        "input": frame.input,
        "entered": frame.entered,
        "entered_at": frame.entered_at,
        "last": frame.last,
        "tries": frame.tries,
        "key": frame.key,
        "token": frame.token,
        "wait": frame.wait,
    }
    rare = rare_of(frame)
    if rare != USUAL:
        body.update((name, value) for name, value, usual in zip(RARE, rare, USUAL, strict=True) if value != usual)
    call = frame.call
    if call is not None:
        same = call["arguments"] is frame.input
        body["call"] = {name: value for name, value in call.items() if name != "arguments"} if same else call
    if frame.spent:
        body["spent"] = frame.spent
    if fork is not None:
        body["fork"] = fork.to_json()
    if fork is not None and beside:
        for name in ("input", "variables"):
            body.pop(name, None)
        for name in ("source", "items"):
            del body["fork"][name]
    return encode(body)


def stored(row: Sequence[Any], bodies: Iterable[str]) -> Stored:
    """The execution of a row of `load` and the bodies of its further frames."""
    key, name, status, version, runs, events, sequence, started, stopped, error, cause, definition, *texts = row
    constant, frame, given, output = texts
    whole = {
        **json.loads(constant),
        "name": name,
        "status": status,
        "runs": runs,
        "events": events,
        "sequence": sequence,
        "started": started,
        "stopped": stopped,
        "error": decoded(error),
        "cause": decoded(cause),
        "input": json.loads(given),
        "output": decoded(output),
    }
    frames = _frames(([frame] if frame is not None else []) + list(bodies))
    execution = Execution.from_json(whole, frames)
    if execution.express and execution.deadline is None and events and not execution.redrives:
        execution.deadline = started + EXPRESS_SECONDS  # its header was written before it began
    return Stored(key, execution, version, definition)


def _frames(texts: Sequence[str]) -> list[dict[str, JSON]]:
    """The frames of those rows, each with what stands beside it."""
    found = [json.loads(text) for text in texts]
    beside = {row[0]: row[1:] for row in found if isinstance(row, list)}
    return [_frame(row, beside) for row in found if isinstance(row, dict)]


def _frame(row: dict[str, JSON], beside: dict[str, list[Any]]) -> dict[str, JSON]:
    frame: dict[str, JSON] = {**FRESH, **row}
    fork = frame["fork"]
    if fork is not None and "items" in fork:
        fork["whole"] = fork["count"] > MANY
    elif fork is not None:
        places, values = beside[frame["path"]]
        frame["input"], frame["variables"], fork["source"], fork["items"] = (values[place] for place in places)
    call = frame["call"]
    if call is not None and "arguments" not in call:
        frame["call"] = {"arguments": frame["input"], **call}  # the input itself
    return frame


def as_before(found: Stored) -> Stored:
    """As it was before it was claimed: the run that begins now has not been counted yet."""
    found.execution.runs -= 1
    return found


def history(texts: Iterable[str]) -> list[HistoryEvent]:
    """The events of the rows of one execution."""
    return [event for text in texts for event in _events(json.loads(text))]


def _events(row: list[Any]) -> Iterator[HistoryEvent]:
    if isinstance(row[0][0], int):
        yield from (cast(HistoryEvent, tuple(event)) for event in row)
        return
    written, values = row
    for number, before, time, kind, details, *apart in written:
        for name in apart[0] if apart else ():
            details[name] = values[details[name]]
        yield number, before, time, kind, details


def plain(text: str) -> str:
    """A text that every database takes: half surrogate pairs and NULs written out."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def decoded_error(text: str | None) -> str | None:
    """The column `error` as text."""
    return cast("str | None", decoded(text))


def parent(header: str) -> str | None:
    """The execution that has started this one, from the column `header`."""
    link = json.loads(header).get("parent") if '"parent"' in header else None
    return None if link is None else cast(str, link["name"])


def root(decision: Decision) -> tuple[str | None, str | None]:
    """State and body of the root frame; None for both when it did not change."""
    frame = decision.frames.get(ROOT)
    return (None, None) if frame is None else (plain(frame.state), frame_body(frame))


def optional(value: JSON) -> str | None:
    """JSON text, or NULL for None."""
    return None if value is None else encode(value)


def decoded(text: str | None) -> JSON:
    """The value of a column of JSON text that may be NULL."""
    return None if text is None else json.loads(text)
