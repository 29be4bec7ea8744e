"""A program that kills itself at a chosen commit of nested executions: `URL FOLDER MOMENT NUMBER WAY`.

As tests/runtime/crash_program.py, whose fuse it uses; WAY is `inline` or `worker`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from engine import Engine
from engine.runtime import lookout, making, pool
from engine.runtime.worker import Worker
from tests.runtime.crash_program import Fuse, Watched, steps

FLOWS = {
    "parent": """
StartAt: Both
States:
  Both:
    Type: Parallel
    Branches:
      - StartAt: Ride
        States: {Ride: {Type: Task, Resource: "flow:ride", Parameters: {order: 1}, End: true}}
      - StartAt: Mail
        States:
          Mail:
            Type: Task
            Resource: arn:aws:states:::states:startExecution.sync:2
            Parameters: {StateMachineArn: ride, Input: {order: 2}}
            OutputPath: $.Output
            End: true
    End: true
""",
    "ride": """
StartAt: Charge
States:
  Charge: {Type: Task, Resource: "step:charge", ResultPath: $.charged, Next: Record}
  Record: {Type: Task, Resource: "step:record", ResultPath: null, Next: Done}
  Done: {Type: Pass, OutputPath: $.charged, End: true}
""",
}


def write(folder: Path) -> Path:
    """The flow files, and where the parent is."""
    for name, text in FLOWS.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / "parent.yaml"


def main(url: str, folder: str, moment: str, number: str, way: str) -> None:
    fuse = Fuse(moment, int(number))
    parent = write(Path(folder))
    with Engine(url, steps=steps(Path(folder) / "effects", fuse)) as engine:
        store: Any = engine._store
        store.use(Watched(store.connection, fuse))
        if way == "inline":
            engine.run(parent, {}, name="p")
        else:
            # Every call in one thread, and no commit more on a busy machine, so that runs can be compared.
            pool.SLOW_SECONDS = making.HERE_SECONDS = lookout.POLL_SECONDS = 1e9  # type: ignore[misc]
            engine.start(parent, {}, name="p")
            Worker(engine).run_until_idle()
        print(engine.describe("p")["status"], fuse.seen["before-commit"])


if __name__ == "__main__":
    main(*sys.argv[1:])
