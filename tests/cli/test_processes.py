"""The command line as it is used: processes, pipes, terminals, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import IO

import pytest

from tests.cli.conftest import Project

HEAVY = ("yaml", "jsonschema", "httpx", "sqlite3", "asyncio", "engine.runtime", "engine.definition", "engine.stores")


GATED = """
StartAt: Check
States:
  Check: {Type: Task, Resource: 'step:shop.check', Next: Hold}
  Hold: {Type: Task, Resource: 'step:shop.hold', End: true}
"""


def wait_for(stream: IO[str] | None, text: str) -> None:
    """Read until a line holds the text."""
    assert stream is not None
    seen = []
    for line in stream:
        seen.append(line)
        if text in line:
            return
    raise AssertionError(f"{text!r} never came: {''.join(seen)}")


def test_help_loads_nothing_that_it_does_not_need() -> None:
    code = f"""
import sys
from engine.cli import main
try:
    main(["--help"])
except SystemExit as done:
    assert done.code == 0
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_ctrl_c_leaves_an_execution_that_can_be_resumed_and_stopped(project: Project) -> None:
    napping = project.process("run", "nap.yaml", "--name", "n1")
    wait_for(napping.stderr, "waits until")
    assert "being run by another process" in project("resume", "n1").stderr
    assert "being run by another process" in project("resume", "--all").stderr
    napping.send_signal(signal.SIGINT)
    out, said = napping.communicate(timeout=20)
    assert (napping.returncode, out) == (130, "")
    assert said == "interrupted; the execution is durable, this goes on with it: engine resume n1\n"

    again = project.process("resume", "n1")
    wait_for(again.stderr, "waits until")
    again.send_signal(signal.SIGINT)
    assert "engine resume n1" in again.communicate(timeout=20)[1]
    assert again.returncode == 130

    assert [found["name"] for found in json.loads(project("resume", "--json").stdout)["executions"]] == ["n1"]
    assert project("stop", "n1").stdout == "n1 is ABORTED\n"


def test_a_killed_process_leaves_an_execution_that_resume_finishes(project: Project) -> None:
    flow, gate = project.folder / "gated.yaml", project.folder / "gate"
    flow.write_text(GATED, encoding="utf-8")
    os.mkfifo(gate)  # reading it takes until somebody writes
    running = project.process("run", "gated.yaml", "--name", "g1", "--input", '{"id": 1}')
    wait_for(running.stderr, "Check")
    running.kill()
    running.communicate(timeout=20)
    # The flow file may change: the execution keeps the definition that it began with.
    flow.unlink()
    gate.unlink()
    gate.write_text("open", encoding="utf-8")
    resumed = project.process("resume", "--all")
    out, said = resumed.communicate(timeout=20)
    assert (resumed.returncode, json.loads(out)) == (0, {"gate": "open", "attempt": 2})
    assert "✓ Hold" in said
    assert "Check" not in said


def test_the_steps_of_the_current_folder_are_found_without_an_option(project: Project) -> None:
    running = project.process("run", "order.yaml", "--input", "-", "--store", "sqlite:///other.db", "--name", "o1")
    out, said = running.communicate('{"id": 7}', timeout=20)
    assert (running.returncode, json.loads(out)) == (0, {"order": 7})
    assert said.splitlines()[-1] == (
        "look closer: engine show o1 --store sqlite:///other.db   engine history o1 --store sqlite:///other.db"
    )


def test_the_store_can_come_from_the_environment(project: Project) -> None:
    running = project.process(
        "run", "order.yaml", "--input", '{"id": 7}', "--name", "o1", environment={"ENGINE_STORE": "sqlite:///env.db"}
    )
    _, said = running.communicate(timeout=20)
    assert said.splitlines()[-1] == "look closer: engine show o1   engine history o1"
    assert (project.folder / "env.db").exists()


def test_a_terminal_that_knows_only_ascii_gets_ascii(project: Project) -> None:
    running = project.process(
        "run", "order.yaml", "--input", '{"id": "é"}', environment={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    )
    out, said = running.communicate(timeout=20)
    assert (running.returncode, json.loads(out)) == (0, {"order": "é"})
    assert out.isascii()
    assert said.isascii()
    assert "\n+ Check " in said


def test_a_reader_that_goes_away_is_no_error(project: Project) -> None:
    project("run", "order.yaml", "--input", '{"id": 7}', "--name", "o1")
    reading, writing = os.pipe()
    os.close(reading)
    process = project.process("history", "o1", stdout=writing)
    os.close(writing)
    assert process.communicate(timeout=20)[1] == ""


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)]
)
def test_a_terminal_gets_colours_unless_no_color_is_set(
    project: Project, environment: dict[str, str], coloured: bool
) -> None:
    project("run", "order.yaml", "--input", '{"id": 7}', "--name", "o1")
    ours, theirs = os.openpty()
    process = project.process("show", "o1", stdout=theirs, environment=environment)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # Linux says so when the other end of a terminal is closed
        pass
    os.close(ours)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert (b"\x1b[32m" in shown) is coloured


@pytest.mark.parametrize("redirected", ["2>/dev/full", "2>&-", "2>&1 >/dev/null | true"])
def test_a_view_that_cannot_be_shown_never_ends_a_run(project: Project, redirected: str) -> None:
    engine = f"{sys.executable} -m engine.cli"
    subprocess.run(
        ["bash", "-c", f"{engine} run order.yaml --input '{{\"id\": 7}}' --name blind >/dev/null {redirected}"],
        cwd=project.folder,
        check=False,
    )
    assert json.loads(project("show", "blind", "--json").stdout)["status"] == "SUCCEEDED"


def test_a_result_that_cannot_be_written_is_said_with_exit_code_2(project: Project) -> None:
    engine = f"{sys.executable} -m engine.cli"
    command = f"{engine} run order.yaml --input '{{\"id\": 7}}' --name lost >/dev/full"
    done = subprocess.run(["bash", "-c", command], cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "could not be written" in done.stderr
    assert json.loads(project("show", "lost", "--json").stdout)["status"] == "SUCCEEDED"


def test_resume_all_as_json_finishes_what_is_half_done(project: Project) -> None:
    napping = project.process("run", "nap.yaml", "--name", "half")
    wait_for(napping.stderr, "waits until")
    napping.kill()
    napping.communicate(timeout=20)
    assert project("stop", "half").exit_code == 0
    out, said = project.process("resume", "half", "--json").communicate(timeout=30)
    assert json.loads(out)["status"] == "ABORTED", said


def test_an_empty_name_is_refused(project: Project) -> None:
    done = project("run", "nap.yaml", "--name", "")
    assert (done.exit_code, "is no name" in done.stderr) == (2, True)
