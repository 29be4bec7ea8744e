"""The OpenAPI document: read, put together from its files, and the source of every check.

References to other files (`$ref: booking.json`, `$ref: ../x.yaml#/a`) are taken in as components, so that what is
served as /openapi.json stands alone.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from engine.definition import Document, read_document
from engine.errors import DefinitionError, Problem
from engine.json_schema import Format, JsonSchema
from engine.values import JSON

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
URI: Final = "urn:openapi"
MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
OURS: Final = ("x-flow", "x-service", "x-answer", "x-stream", "x-missing", "x-normalise", "x-verify", "x-limits")
"""Extension fields that say how the service works inside; they are not served."""

Checker = Callable[[JSON], "list[tuple[tuple[str | int, ...], Any]]"]


class OpenApi:
    """An OpenAPI 3.1 document in one piece.

    `whole`: the document with everything that it refers to. `file`: where it came from; `folder`: what paths in
    extension fields are relative to. Raises DefinitionError.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.file = Path(path)
        self.folder = self.file.parent
        self.source: Document = read_document(self.file)
        if not isinstance(self.source.value, dict) or not str(self.source.value.get("openapi", "")).startswith("3.1"):
            raise self.wrong((), "not-openapi", "This is not an OpenAPI 3.1 document", "begin it with: openapi: 3.1.0")
        self._taken: dict[tuple[str, str], str] = {}
        self.whole: dict[str, Any] = copy.deepcopy(self.source.value)
        self.whole.setdefault("components", {}).setdefault("schemas", {})
        self._take_in(self.whole, self.folder, ())

    @property
    def service(self) -> dict[str, Any]:
        """The settings of the service: `x-service` of the root."""
        found = self.whole.get("x-service", {})
        return dict(found)

    def public(self) -> dict[str, Any]:
        """The document as it is served: without what only the service needs."""
        found = _without(self.whole)
        assert isinstance(found, dict)
        return found

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any], list[dict[str, Any]]]]:
        """(path template, method, operation, parameters with those of its path) of every operation."""
        for template, item in self.whole.get("paths", {}).items():
            shared = item.get("parameters", [])
            for method in METHODS:
                if method in item:
                    parameters = [self.resolve(one) for one in [*shared, *item[method].get("parameters", [])]]
                    yield template, method.upper(), item[method], parameters

    def resolve(self, value: Any) -> dict[str, Any]:
        """What a `$ref` inside the document points to, or the value itself."""
        while isinstance(value, dict) and "$ref" in value:
            found: Any = self.whole
            for part in value["$ref"].removeprefix("#/").split("/"):
                found = found[part.replace("~1", "/").replace("~0", "~")]
            value = found
        assert isinstance(value, dict)
        return value

    def checker(self, schema: dict[str, Any]) -> JsonSchema:
        """A schema that stands in the document, compiled."""
        formats: dict[str, Format | None] = {"date": None, "email": None, "date-time": _is_moment}
        return JsonSchema(_absolute(schema), formats=formats, documents={URI: {"components": self.whole["components"]}})

    def wrong(
        self, pointer: tuple[str | int, ...], code: str, message: str, hint: str | None = None
    ) -> DefinitionError:
        """A mistake of the document's author, with its place."""
        line, column = self.source.position(pointer) or (None, None)
        problem = Problem(code, message, pointer, hint=hint, file=os.fspath(self.file), line=line, column=column)
        return DefinitionError([problem])

    def _take_in(self, value: Any, folder: Path, pointer: tuple[str | int, ...]) -> None:
        """Turn references to other files into references to components."""
        if isinstance(value, list):
            for at, item in enumerate(value):
                self._take_in(item, folder, (*pointer, at))
        if not isinstance(value, dict):
            return
        target = value.get("$ref")
        if isinstance(target, str) and not target.startswith("#"):
            value["$ref"] = self._component(target, folder, pointer)
        for key, item in value.items():
            if key not in OURS:
                self._take_in(item, folder, (*pointer, key))

    def _component(self, target: str, folder: Path, pointer: tuple[str | int, ...]) -> str:
        file, _, fragment = target.partition("#")
        path = (folder / file).resolve()
        name = self._taken.get((str(path), ""))
        if name is None:
            name = _component_name(path)
            self._taken[str(path), ""] = name
            try:
                part = copy.deepcopy(read_document(path).value)
            except DefinitionError as problem:
                raise self.wrong(pointer, "unreadable-reference", f"{target}: {problem.problems[0].message}") from None
            for key in ("$schema", "$id"):
                part.pop(key, None)
            base = f"#/components/schemas/{name}"
            _rebase(part, base)
            self.whole["components"]["schemas"][name] = part
            self._take_in(part, path.parent, pointer)
        return f"#/components/schemas/{name}{fragment}"


def _component_name(path: Path) -> str:
    return "".join(word.capitalize() for word in re.split(r"[^A-Za-z0-9]+", path.stem))


def _rebase(value: Any, base: str) -> None:
    """References of a file to itself become references to where it stands now."""
    if isinstance(value, list):
        for item in value:
            _rebase(item, base)
    elif isinstance(value, dict):
        target = value.get("$ref")
        if isinstance(target, str) and target.startswith("#"):
            value["$ref"] = base + target[1:]
        for item in value.values():
            _rebase(item, base)


def _absolute(value: Any) -> Any:
    """References inside the document, for a schema that is taken out of it."""
    if isinstance(value, list):
        return [_absolute(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _absolute(item) for key, item in value.items()}
    if isinstance(found.get("$ref"), str) and found["$ref"].startswith("#"):
        found["$ref"] = URI + found["$ref"]
    return found


def _without(value: Any) -> Any:
    if isinstance(value, list):
        return [_without(item) for item in value]
    if isinstance(value, dict):
        return {key: _without(item) for key, item in value.items() if key not in OURS}
    return value


def _is_moment(text: str) -> bool:
    """Whether a text is a moment of RFC 3339 with an offset. Raises ValueError, OverflowError."""
    return bool(MOMENT.fullmatch(text) and datetime.fromisoformat(text.upper()).astimezone(UTC))
