"""A new endpoint is files: an operation in a document, a flow beside it. No code knows of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import DefinitionError, Engine, StepError, step
from engine.service.http import HttpService, Request, Response

DOCUMENT = """
openapi: 3.1.0
info: {title: Greetings, version: "1"}
security: []
x-service:
  problems: problems.yaml
paths:
  /greetings/{name}:
    get:
      operationId: greet
      parameters:
      - {name: name, in: path, required: true, schema: {type: string, maxLength: 20}}
      - {name: loud, in: query, schema: {type: boolean, default: false}}
      responses:
        "200": {description: A greeting., content: {application/json: {schema: {type: object}}}}
        "404": {description: Nobody.}
      x-flow:
        flow: greet.yaml
        input: {name: "{% request.path.name %}", loud: "{% request.query.loud %}"}
        answers:
        - when: "{% output.loud %}"
          headers: {X-Loud: "{% output.text %}"}
          etag: "{% length(output.text) %}"
          body: {text: "{% upper(output.text) %}"}
        - {}
  /letters:
    post:
      operationId: write
      requestBody:
        required: true
        content:
          application/json:
            schema: {type: object, required: [to], additionalProperties: false, properties: {to: {type: string}}}
      responses: {"202": {description: It is on its way.}}
      x-flow:
        flow: greet.yaml
        run: durable
        name: "{% format('letter-{}', digest) %}"
        input: {name: "{% request.body.to %}"}
        wait: 0
        accepted: {text: null}
        answers: [{status: 202, body: {text: "{% output.text %}"}}]
"""
FLOW = """
StartAt: Greet
States:
  Greet: {Type: Task, Resource: "step:greet.say", End: true}
"""
OTHER_FLOW = """
QueryLanguage: JMESPath
StartAt: Greet
States:
  Greet: {Type: Pass, Output: {text: "{% format('Good evening, {}', states.input.name) %}"}, End: true}
"""
PROBLEMS = """
errors: {Greet.Nobody: nobody_there}
codes:
  nobody_there: {status: 404, title: Nobody is there, suggested_action: NONE, user_message: There is nobody.}
"""


@step("greet.say", errors={"Greet.Nobody": "there is nobody"})
def say(payload: Any, ctx: Any) -> Any:
    """Greet somebody."""
    if payload["name"] == "nobody":
        raise StepError("Greet.Nobody", json.dumps({"detail": "the house is empty", "house": 7, "status": 200}))
    return {"text": f"Hello, {payload['name']}", "loud": payload.get("loud", False)}


class House:
    """A folder with a document, and a service made of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in {"openapi.yaml": DOCUMENT, "greet.yaml": FLOW, "problems.yaml": PROBLEMS}.items():
            self.write(name, text)
        self.engine = Engine(f"sqlite:///{folder}/house.db", steps={"greet.say": say})

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Response:
        service = HttpService(str(self.folder / "openapi.yaml"), self.engine)
        raw = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        try:
            return service.handle(Request(method, path, query=query.items(), headers=headers, body=raw))
        finally:
            service.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.engine.close()


def test_an_operation_and_a_flow_answer(house: House) -> None:
    assert house.ask("GET", "/greetings/Ana").json() == {"text": "Hello, Ana", "loud": False}
    loud = house.ask("GET", "/greetings/Ana", loud="true")
    assert (loud.json(), loud.headers["X-Loud"], loud.headers["ETag"]) == (
        {"text": "HELLO, ANA"},
        "Hello, Ana",
        '"v10"',
    )


def test_another_flow_behind_it_is_another_file(house: House) -> None:
    house.write("greet.yaml", OTHER_FLOW)
    assert house.ask("GET", "/greetings/Ana").json() == {"text": "Good evening, Ana"}


def test_an_error_of_the_flow_is_the_problem_that_the_catalogue_says(house: House) -> None:
    refused = house.ask("GET", "/greetings/nobody")
    problem = refused.json()
    assert (refused.status, problem["code"], problem["house"]) == (404, "nobody_there", 7)
    assert (problem["status"], problem["detail"]) == (404, "the house is empty")


def test_a_durable_flow_is_started_and_a_worker_elsewhere_runs_it(house: House) -> None:
    assert house.ask("POST", "/letters", {"to": "Ana"}).json() == {"text": None}
    (name,) = house.engine.unfinished()
    assert name.startswith("letter-")
    assert house.engine.resume(name).output["text"] == "Hello, Ana"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("flow: greet.yaml\n        input", "flow: gone.yaml\n        input", "openapi.yaml:18:15: error no-such-flow"),
        ("request.path.name", "request.path.", "openapi.yaml:19:23"),
        ("answers:\n        - when", "answer:\n        - when", "does not know answer"),
        ("        name: \"{% format('letter-{}', digest) %}\"\n", "", "needs a name"),
        ("openapi: 3.1.0", "openapi: 2.0.0", "not an OpenAPI 3.1"),
    ],
)
def test_a_mistake_is_found_when_the_service_starts(house: House, old: str, new: str, said: str) -> None:
    assert old in DOCUMENT
    house.write("openapi.yaml", DOCUMENT.replace(old, new))
    with pytest.raises(DefinitionError, match=said.replace(".", r"\.")):
        house.ask("GET", "/greetings/Ana")
