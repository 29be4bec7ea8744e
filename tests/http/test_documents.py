"""The pages about the service are true: their code runs, and every extension field that there is stands in them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from engine import Engine
from engine.service.http import HttpService, Request
from engine.service.http.builtin import BUILTIN
from engine.service.http.document import OURS, OpenApi
from engine.service.http.operations import ANSWER_FIELDS, FLOW_FIELDS
from engine.service.http.problems import read_catalogue

ROOT = Path(__file__).parents[2]


def test_the_python_of_the_embedding_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs/embedding.md").read_text(encoding="utf-8")
    text = text.replace("sqlite:///embedded.db", f"sqlite:///{tmp_path}/embedded.db")
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(code, "docs/embedding.md", "exec"), names)
    assert capsys.readouterr().out.splitlines() == ["200 Not found", "200"]


def test_the_new_endpoint_of_the_http_page_is_answered(tmp_path: Path) -> None:
    page = (ROOT / "docs/http.md").read_text(encoding="utf-8")
    operation, flow = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[:2]
    for folder in ("schemas", "flows", "steps/bookings"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    document = tmp_path / "schemas/openapi.yaml"
    document.write_text(document.read_text().replace("\npaths:\n", "\n" + operation, 1))
    (tmp_path / "flows/http/get-airport.yaml").write_text(flow)
    with Engine("memory:", steps="steps") as engine:
        service = HttpService(str(document), engine, demo=True)
        answers = [service.handle(Request("GET", f"/v1/airports/{one}")) for one in ("DXB", "LHR", "x")]
        service.close()
    assert [answer.status for answer in answers] == [200, 500, 400]
    assert answers[0].json() == {"iata": "DXB", "rides": True}


def test_every_extension_field_is_described() -> None:
    page = (ROOT / "docs/http.md").read_text(encoding="utf-8")
    fields = {*FLOW_FIELDS, *ANSWER_FIELDS, *BUILTIN, *(name for name in OURS if name != "x-flow")}
    assert sorted(name for name in fields - {"when"} if f"`{name}`" not in page) == []


def test_whatever_members_are_told_is_told_in_every_language() -> None:
    document = OpenApi(str(ROOT / "schemas/openapi.yaml"))
    catalogue = read_catalogue(document.service, document.folder)
    assert set(catalogue.translations) == {"de", "fr"}
    for language, messages in catalogue.translations.items():
        assert sorted(catalogue.codes.keys() - messages.keys()) == [], language
        assert all("{" not in message for message in messages.values()), language
