"""JSON Schemas (draft 2020-12), compiled: quick for values that fit, exact about those that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.values import JSON

Format = Callable[[str], bool]


class JsonSchema:
    """A schema, compiled when it is first asked.

        shape = JsonSchema({"type": "object", "required": ["id"]})
        shape.accepts({"id": 1})            # True
        next(shape.iter_errors({})).message  # "'id' is a required property"

    jsonschema-rs finds out whether a value fits; only what it does not accept is looked at by jsonschema, whose word
    counts and whose errors name place and rule.

    `formats`: the formats that are checked: by a function of the text (a ValueError counts as no), or, None, as
    jsonschema does. Others are not. `documents`: what references may point into, by URI.
    """

    __slots__ = ("_documents", "_exact", "_formats", "_quick", "schema")

    def __init__(
        self,
        schema: JSON,
        *,
        formats: Mapping[str, Format | None] | None = None,
        documents: Mapping[str, JSON] | None = None,
    ) -> None:
        self.schema = schema
        self._formats = {name: check and _tried(check) for name, check in (formats or {}).items()}
        self._documents = documents or {}
        self._quick: Callable[[JSON], bool] | None = None
        self._exact: Any = None

    def accepts(self, value: JSON) -> bool:
        """Whether the value fits."""
        return next(iter(self.iter_errors(value)), None) is None

    def iter_errors(self, value: JSON) -> Iterable[Any]:
        """What is wrong with the value, as jsonschema's ValidationErrors."""
        if self._quick is None:
            self._quick = self._compiled()
        try:
            if self._quick(value):
                return ()
        except Exception:  # no value of JSON, half a surrogate pair, …: the other one says what it makes of it
            pass
        if self._exact is None:
            self._exact = self._interpreted()
        errors: Iterable[Any] = self._exact.iter_errors(value)
        return errors

    def _compiled(self) -> Callable[[JSON], bool]:
        import jsonschema_rs  # heavy, as jsonschema is: loaded by the first check

        own = {name: check for name, check in self._formats.items() if check is not None}
        registry = jsonschema_rs.Registry(list(self._documents.items()))
        try:
            made = jsonschema_rs.Draft202012Validator(
                self.schema, formats=own, validate_formats=bool(self._formats), registry=registry
            )
        except ValueError:
            return lambda value: False  # a pattern of Python's alone, say: then every value is looked at the long way
        return made.is_valid

    def _interpreted(self) -> Any:
        from jsonschema import Draft202012Validator, FormatChecker
        from referencing import Registry, Resource
        from referencing.jsonschema import DRAFT202012

        known = FormatChecker(formats=[name for name, check in self._formats.items() if check is None])
        for name, check in self._formats.items():
            if check is not None:
                known.checks(name)(_of_texts(check))
        registry: Any = Registry().with_resources(
            (uri, Resource.from_contents(document, DRAFT202012)) for uri, document in self._documents.items()
        )
        return Draft202012Validator(self.schema, registry=registry, format_checker=known if self._formats else None)


def _tried(check: Format) -> Format:
    def tried(text: str) -> bool:
        try:
            return bool(check(text))
        except (ValueError, OverflowError):
            return False

    return tried


def _of_texts(check: Format) -> Callable[[object], bool]:
    """Formats say nothing of values that are no texts."""
    return lambda value: not isinstance(value, str) or check(value)
