"""The jobs of `engine serve`: flows that are started every so often."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import EngineError
from engine.service.http.serving import Jobs


class Worker:
    """Remembers what was started; the first start of `bad` breaks."""

    def __init__(self, problem: Exception) -> None:
        self.problem = problem
        self.started: list[str] = []

    def submit(self, machine: Any, given: Any, *, name: str) -> None:
        if machine == "flows/bad.yaml":
            raise self.problem
        self.started.append(name)


@pytest.mark.parametrize(
    ("problem", "told"), [(EngineError("the store is away"), "the store is away"), (KeyError("a secret"), "KeyError")]
)
def test_a_job_that_cannot_be_started_is_told_of_and_holds_up_no_other(
    problem: Exception, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker: Any = Worker(problem)
    clock = SimpleNamespace(now=lambda: 1200.0)
    engine = SimpleNamespace(host=SimpleNamespace(clock=clock))
    service: Any = SimpleNamespace(engine=engine, machine=lambda file: file)
    every = [{"flow": f"flows/{name}.yaml", "every_s": 60} for name in ("bad", "sweep")]
    jobs = Jobs(service, worker, every)
    jobs.tick()
    jobs.tick()
    assert worker.started == ["sweep-20"]
    assert f"the job bad could not be started: {told}" in caplog.text
    assert "secret" not in caplog.text
