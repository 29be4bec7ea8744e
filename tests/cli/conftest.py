"""A project to run commands in: a folder with flows and a steps package of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engine.cli import cli

STEPS = '''
from pathlib import Path

from engine import StepError, step


@step("shop.check", errors={"Shop.Closed": "nobody is there"})
def check(payload, ctx):
    """Check the order.

    It is closed when asked to be.
    """
    if payload.get("closed"):
        raise StepError("Shop.Closed", "come back later")
    ctx.note("3 rules passed")
    return payload


@step("shop.crash", idempotency="none", input={"type": "object"})
def crash(payload, ctx):
    """Break."""
    raise ValueError("a secret")


@step("shop.hold", idempotency="keyed")
def hold(payload, ctx):
    """Wait until the gate can be read."""
    return {"gate": Path("gate").read_text(), "attempt": ctx.attempt}


@step("shop.ask", idempotency="keyed", transactional=False)
def ask(payload, ctx):
    """Hand out a token."""
    return None
'''

ORDER = """\
QueryLanguage: JMESPath
StartAt: Check
States:
  Check:
    Type: Task
    Resource: step:shop.check
    Next: Both
  Both:
    Type: Parallel
    Branches:
      - StartAt: Left
        States: {Left: {Type: Pass, End: true}}
      - StartAt: Right
        States: {Right: {Type: Wait, Seconds: 0, End: true}}
    Output: {order: "{% states.input.id %}"}
    End: true
"""

FLOWS = {
    "order.yaml": ORDER,
    "nap.yaml": "StartAt: Nap\nStates:\n  Nap: {Type: Wait, Seconds: 86400, End: true}\n",
    "ask.yaml": "StartAt: Ask\nStates:\n  Ask: {Type: Task, Resource: 'step:shop.ask.waitForTaskToken', End: true}\n",
    "crash.yaml": "StartAt: Crash\nStates:\n  Crash: {Type: Task, Resource: 'step:shop.crash', End: true}\n",
    "wrong.yaml": "StartAt: Chek\nStates:\n  Check: {Type: Task, Resource: 'step:shop.chek', End: true}\n",
    "warned.yaml": "StartAt: 'A'\nStates:\n  'A': {Type: Pass, Comment: yes, End: true}\n",
}


class Project:
    """Runs commands in the folder: in this process, or as a process of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("ENGINE_") and name not in ("NO_COLOR", "PYTHONIOENCODING")
        }

    def __call__(self, *arguments: str, stdin: str | None = None, **environment: str) -> Result:
        """Run a command here."""
        return CliRunner().invoke(cli, arguments, input=stdin, env=environment, prog_name="engine")

    def process(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command as a process."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.PIPE} | options
        environment = self.environment | options.pop("environment", {})
        code = "from engine.cli import main; main()"
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments], cwd=self.folder, env=environment, text=True, **options
        )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    for name, text in FLOWS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    # In this process the package must not be called `steps`: that is the booking's, and may be loaded already.
    for package in ("shop", "steps"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("", encoding="utf-8")
        (tmp_path / package / "all.py").write_text(STEPS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("ENGINE_STORE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ENGINE_STEPS", "shop")
    yield Project(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "shop"]:
        del sys.modules[name]
