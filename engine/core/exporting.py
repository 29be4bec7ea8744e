"""Writing the results of a map run out a part at a time: no more than one is ever in memory, or in a row.

Where the children of a distributed Map are executions of their own in a store, reading results is a call of the Map's
frame, and so is writing an object of them. They take turns until each group of children is written; then comes the
manifest that names all objects.
"""

from __future__ import annotations

from typing import Final

from engine.core import forks
from engine.core.execution import FAILED, SUCCEEDED, Frame
from engine.errors import ExecutionFailure
from engine.machine import State
from engine.states.map_results import NO_FILES, Place, ResultWriter
from engine.values import JSON

GROUPS: Final = (forks.PENDING, FAILED, SUCCEEDED)
"""In this order: should a child go on in between, it is written twice rather than not at all."""
FIRST: Final[dict[str, JSON]] = {"group": GROUPS[0], "first": 0, "files": NO_FILES, "place": None}
"""Where reading begins: the group, its first item, the objects that are written, and where they go: that is found once,
so that all go to the same place."""


def export_part(run: forks.Runner, frame: Frame, state: State, answer: JSON) -> None:
    """Results have been read: `{"part": [[item, *result]…], "next"}`, with the item from which on there may be more of
    the group, None when there are none. Have them written, or go on where there is nothing to write."""
    at = frame.call.get("part") or FIRST
    writer, place = _writer(state), at["place"]
    try:
        place = forks.place_of(run, frame, state, writer) if place is None else Place(*place)
        at = {**at, "first": answer["next"], "place": list(place)}
        if not answer["part"]:
            _go_on(run, frame, writer, at)
            return
        children = forks.children(run, frame, state, ((item, result) for item, *result in answer["part"]))
        put, at["files"] = writer.part(children, at["group"], at["files"], place)
    except ExecutionFailure as failure:
        run.evaluation_failed(frame, state, failure)
    else:
        run.ask(frame, writer.resource, put, writes=[], part=at, **_marks(frame))


def written(run: forks.Runner, frame: Frame, state: State) -> None:
    """An object with results is written: the next one, or the end."""
    if "part" in frame.call:
        _go_on(run, frame, _writer(state), frame.call["part"])
    else:
        forks.written(run, frame, state)


def _go_on(run: forks.Runner, frame: Frame, writer: ResultWriter, at: JSON) -> None:
    """The next results of the group, the next group, or the manifest."""
    last = at["group"] == GROUPS[-1]
    if at["first"] is None and last:
        put, result = writer.manifest(at["files"], Place(*at["place"]))
        run.ask(frame, writer.resource, put, writes=[], result=result, **_marks(frame))
        return
    if at["first"] is None:
        at = {**at, "group": GROUPS[GROUPS.index(at["group"]) + 1], "first": 0}
    run.ask(frame, forks.CHILD_EXECUTIONS, None, spread=forks.RESULTS, part=at, **_marks(frame))


def _marks(frame: Frame) -> dict[str, JSON]:
    return {name: frame.call.get(name) for name in ("of", "failed")}


def _writer(state: State) -> ResultWriter:
    writer = forks.writer_of(state)
    assert writer is not None, "only a writer writes"
    return writer
