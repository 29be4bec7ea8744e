"""The OpenAPI document as a page to read: one file, without scripts, pictures or anything from elsewhere."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from engine.service.http.document import METHODS

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'"


def render(document: Mapping[str, Any]) -> bytes:
    """The page. Everything in it comes from the document, escaped."""
    return "".join(_page(document)).encode()


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    info = document["info"]
    title, version = _text(info["title"]), _text(info.get("version", ""))
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield f'<meta name="viewport" content="width=device-width"><style>{style}</style></head><body>'
    yield f"<h1>{title} <small>{version}</small></h1>{_paragraphs(info.get('description'))}"
    yield '<p class=quiet>The contract for machines: <a href="/openapi.json">/openapi.json</a></p>'
    for tag in [*document.get("tags", []), {"name": None, "description": "Others"}]:
        found = [one for one in _operations(document) if (one[2].get("tags") or [None])[0] == tag["name"]]
        if found:
            yield f"<h2>{_text(tag.get('description') or tag['name'])}</h2>"
            for one in found:
                yield from _operation(document, *one)
    yield "<h2>Schemas</h2>"
    for name, schema in sorted(document["components"]["schemas"].items()):
        shown = _text(json.dumps(schema, indent=2, ensure_ascii=False))
        yield f'<details id="{_text(name)}"><summary><code>{_text(name)}</code></summary><pre>{shown}</pre></details>'
    yield "</body></html>"


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any], list[Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method], item.get("parameters", [])


def _operation(
    document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any], shared: list[Any]
) -> Iterator[str]:
    yield f'<details id="{_text(operation.get("operationId", ""))}"><summary><b>{method.upper()}</b> '
    yield f"<code>{_text(path)}</code> {_text(operation.get('summary', ''))}</summary>"
    yield _paragraphs(operation.get("description"))
    security = operation.get("security", document.get("security", []))
    scopes = ", ".join(scope for one in security for scopes in one.values() for scope in scopes)
    yield f"<p class=quiet>{f'Needs a token with the scope {_text(scopes)}.' if scopes else 'Open to everybody.'}</p>"
    parameters = [_resolved(document, one) for one in [*shared, *operation.get("parameters", [])]]
    if parameters:
        yield "<table><tr><th>Parameter<th>In<th>Meaning</tr>"
        for one in parameters:
            name = f"<code>{_text(one['name'])}</code>{' (required)' if one.get('required') else ''}"
            yield f"<tr><td>{name}<td>{_text(one['in'])}<td>{_text(one.get('description', ''))}</tr>"
        yield "</table>"
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body: <code>{_text(media)}</code> {_schema(content.get('schema', {}))}</p>"
    yield "<table><tr><th>Answer<th>Meaning<th>Body</tr>"
    for status, given in operation["responses"].items():
        answer = _resolved(document, given)
        bodies = ", ".join(_schema(content.get("schema", {})) for content in answer.get("content", {}).values())
        yield f"<tr><td><code>{_text(status)}</code><td>{_text(answer['description'])}<td>{bodies}</tr>"
    yield "</table></details>"


def _resolved(document: Mapping[str, Any], value: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = value
    while "$ref" in found:
        target: Any = document
        for part in found["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        found = target
    return found


def _schema(schema: Mapping[str, Any]) -> str:
    shown = []
    for one in schema.get("anyOf") or schema.get("oneOf") or [schema]:
        name = _text(str(one.get("$ref", "")).rpartition("/")[2])
        shown.append(f'<a href="#{name}"><code>{name}</code></a>' if name else _text(one.get("type", "")))
    return " or ".join(shown)


def _paragraphs(text: str | None) -> str:
    return "".join(f"<p>{_text(part)}</p>" for part in (text or "").split("\n\n") if part.strip())


def _text(value: object) -> str:
    return html.escape(str(value))
