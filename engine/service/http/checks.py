"""What OpenAPI says of parameters and bodies, checked: values, or the list of what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.service.http.document import OpenApi
from engine.service.http.messages import Request
from engine.service.http.problems import Refused
from engine.values import JSON

MOST_ERRORS: Final = 20
WORDS: Final = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "const": "must be {}",
    "pattern": "must match {}",
    "format": "must be a valid {}",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "minProperties": "must have at least {} fields",
    "uniqueItems": "must not repeat an item",
    "additionalProperties": "is not known here",
    "unevaluatedProperties": "is not known here",
    "dependentRequired": "lacks another field that it needs",
}


class Parameter:
    """One parameter of an operation, as its schema reads it."""

    __slots__ = ("checker", "kind", "missing", "name", "required", "schema", "where")

    def __init__(self, document: OpenApi, given: Mapping[str, Any]) -> None:
        self.name: str = given["name"]
        self.where: str = given["in"]
        self.required: bool = bool(given.get("required"))
        self.missing: str | None = given.get("x-missing")
        self.schema = document.resolve(given.get("schema", {}))
        self.checker = document.checker(self.schema)
        self.kind = self.schema.get("type", "string")

    def read(self, text: str) -> JSON:
        """The text as the schema's type; one that cannot be is left as it is, for the check to say so."""
        if self.kind == "integer":
            digits = text.removeprefix("-")
            return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 16 else text
        if self.kind == "number":
            try:
                return float(text)
            except ValueError:
                return text
        if self.kind == "boolean":
            return {"true": True, "false": False}.get(text, text)
        if self.kind == "array":
            return text.split(",")
        return text


class Parameters:
    """All parameters of an operation."""

    def __init__(self, document: OpenApi, given: Iterable[Mapping[str, Any]]) -> None:
        self.all = [Parameter(document, one) for one in given]
        self.queries = frozenset(one.name for one in self.all if one.where == "query")

    def read(self, request: Request, path: Mapping[str, str]) -> dict[str, dict[str, JSON]]:
        """`{path, query, header}` with values by name (headers in lower case, `-` as `_`); absent ones have their
        default, or are null. Raises Refused."""
        found: dict[str, dict[str, JSON]] = {"path": {}, "query": {}, "header": {}}
        errors = _unknown(request, self.queries)
        query: dict[str, list[str]] = {}
        for name, value in request.query:
            query.setdefault(name, []).append(value)
        for one in self.all:
            if one.where == "query":
                values = query.get(one.name, [])
                text: str | None = None if not values else ",".join(values) if one.kind == "array" else values[0]
                if len(values) > 1 and one.kind != "array":
                    errors.append(error(f"/{one.name}", "must be given once"))
            else:
                text = path.get(one.name) if one.where == "path" else request.header(one.name)
            if text is None and one.required:
                if one.missing:
                    raise Refused(one.missing, f"the header {one.name} is required")
                errors.append(error(f"/{one.name}", "is required"))
            read: JSON = one.schema.get("default") if text is None else one.read(text)
            if text is not None:
                errors += [error(f"/{one.name}", words(wrong)) for wrong in one.checker.iter_errors(read)]
            key = one.name.lower().replace("-", "_") if one.where == "header" else one.name
            found.setdefault(one.where, {})[key] = read
        if errors:
            raise invalid(errors)
        return found


class Bodies:
    """The bodies that an operation takes, by media type."""

    def __init__(self, document: OpenApi, given: Mapping[str, Any] | None, aliases: Mapping[str, str]) -> None:
        self.required = bool(given and given.get("required"))
        self.aliases = aliases
        self.checkers = {
            media: document.checker(
                document.resolve(content.get("schema", {}))
                if "$ref" in content.get("schema", {})
                else content.get("schema", {})
            )
            for media, content in (given or {}).get("content", {}).items()
        }

    @property
    def taken(self) -> bool:
        """Whether there is a body to read at all."""
        return bool(self.checkers)

    def media_type(self, request: Request) -> str:
        """The media type to read the body as. Raises Refused."""
        header = request.header("content-type") or ""
        media, _, rest = header.partition(";")
        media = media.strip().lower()
        media = self.aliases.get(media, media)
        charset = rest.partition("charset=")[2].strip().strip('"').lower()
        if media not in self.checkers or charset not in ("", "utf-8", "utf8", "us-ascii"):
            known = ", ".join(self.checkers)
            raise Refused("unsupported_media_type", f"send {known} in UTF-8", headers={"Accept": known})
        return media

    def check(self, media: str, value: JSON) -> None:
        """Raises Refused with every place that breaks the schema; none of the values is repeated."""
        errors = {
            (line["pointer"], line["message"])
            for wrong in self.checkers[media].iter_errors(value)
            for line in _lines(wrong)
        }
        if errors:
            raise invalid([error(pointer, message) for pointer, message in sorted(errors)])


def error(pointer: str, message: str) -> dict[str, JSON]:
    """One entry of `errors` in a problem."""
    return {"code": "invalid", "pointer": pointer, "message": message}


def invalid(errors: list[dict[str, JSON]]) -> Refused:
    """The problem of a request that breaks its schema."""
    shown = errors[:MOST_ERRORS]
    detail = "; ".join(f"{line['pointer'] or '/'} {line['message']}" for line in shown[:3])
    more = f" (and {len(errors) - 3} more)" if len(errors) > 3 else ""
    return Refused("validation_failed", detail + more, errors=shown)


def words(wrong: Any) -> str:
    """What a broken rule demands."""
    limit = wrong.validator_value
    shown = ", ".join(map(str, limit)) if isinstance(limit, list) else str(limit).replace("True", "true")
    return WORDS.get(wrong.validator, "is not valid").format(shown)


def _unknown(request: Request, known: frozenset[str]) -> list[dict[str, JSON]]:
    strangers = sorted({name for name, _ in request.query} - known)
    return [error("/" + name[:40].replace("~", "~0").replace("/", "~1"), "is not known here") for name in strangers]


def _lines(wrong: Any) -> Iterable[dict[str, JSON]]:
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in wrong.absolute_path)
    if wrong.validator == "required":
        return [
            error(f"{pointer}/{name}", "is required") for name in wrong.validator_value if name not in wrong.instance
        ]
    if wrong.validator in ("additionalProperties", "unevaluatedProperties") and isinstance(wrong.instance, dict):
        known = wrong.schema.get("properties", {})
        return [
            error(f"{pointer}/{name[:40].replace('~', '~0').replace('/', '~1')}", words(wrong))
            for name in wrong.instance
            if name not in known
        ]
    if wrong.context:
        return [line for inner in wrong.context for line in _lines(inner)] or [error(pointer, words(wrong))]
    return [error(pointer, words(wrong))]
