"""Checking parameters by their shapes: first as boto3 does before it sends them, then as the service does.

boto3 checks presence, types and least lengths (`ParamValidationError`); the service checks the rest
(`ValidationException`). Both report all that is wrong at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.service.errors import ApiError, invalid
from engine.values import check_json, dump

TYPES: Final[dict[type, str]] = {
    str: "<class 'str'>",
    int: "<class 'int'>",
    float: "<class 'float'>, <class 'decimal.Decimal'>, <class 'int'>",
    bool: "<class 'bool'>",
    list: "<class 'list'>, <class 'tuple'>",
    dict: "<class 'dict'>",
}
CLIENT: Final = "client"
SERVICE: Final = "service"

Complaint = tuple[str, str]
"""Who complains (CLIENT or SERVICE), and the sentence."""


class Shape:
    """What a parameter must be. `minimum` and `maximum` bound a length, or a number's value."""

    kind: type = str

    def __init__(self, minimum: int | None = None, maximum: int | None = None) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def check(self, value: Any, client: str, service: str) -> Iterator[Complaint]:
        """Everything that is wrong with a value; `client` and `service` are its places in either's notation."""
        if not self.takes(value):
            said = f"Invalid type for parameter {client}, value: {value}, type: {type(value)}"
            yield CLIENT, f"{said}, valid types: {TYPES[self.kind]}"
            return
        yield from self.bounds(value, client, service)

    def takes(self, value: Any) -> bool:
        """Whether the value has the right type."""
        return isinstance(value, self.kind)

    def bounds(self, value: Any, client: str, service: str) -> Iterator[Complaint]:
        """What is wrong with a value of the right type."""
        length = len(value)
        if self.minimum is not None and length < self.minimum:
            said = f"Invalid length for parameter {client}, value: {length}, valid min length: {self.minimum}"
            yield CLIENT, said
        if self.maximum is not None and length > self.maximum:
            said = f"Member must have length less than or equal to {self.maximum}"
            yield SERVICE, unsatisfied(self.show(value), service, said)

    def show(self, value: Any) -> str | None:
        """The value as the service quotes it; None = not at all."""
        return str(value)

    def plain(self, value: Any) -> Any:
        """The value as the operations take it."""
        return value


class Text(Shape):
    """A text. `secret`: the service does not quote it. `written`: the pattern in the service's own notation."""

    def __init__(
        self,
        minimum: int | None = None,
        maximum: int | None = None,
        *,
        pattern: str | None = None,
        written: str | None = None,
        words: tuple[str, ...] = (),
        secret: bool = False,
    ) -> None:
        super().__init__(minimum, maximum)
        self.pattern = pattern
        self.written = written or pattern
        self.words = words
        self.secret = secret

    def bounds(self, value: Any, client: str, service: str) -> Iterator[Complaint]:
        yield from super().bounds(value, client, service)
        if self.words and value not in self.words:
            said = f"Member must satisfy enum value set: [{', '.join(self.words)}]"
            yield SERVICE, unsatisfied(self.show(value), service, said)
        if self.pattern is not None and value and not re.fullmatch(self.pattern, value):
            said = f"Member must satisfy regular expression pattern: {self.written}"
            yield SERVICE, unsatisfied(self.show(value), service, said)

    def show(self, value: Any) -> str | None:
        return None if self.secret else value


class Document(Text):
    """A JSON text, bounded in bytes of UTF-8. In process a value needs no text: any other JSON value does as well."""

    def takes(self, value: Any) -> bool:
        return check_json(value) is None

    def bounds(self, value: Any, client: str, service: str) -> Iterator[Complaint]:
        # One character for each byte, so that lengths are those of the bytes.
        yield from super().bounds(self.plain(value).encode("utf-8", "replace").decode("latin-1"), client, service)

    def plain(self, value: Any) -> Any:
        return value if isinstance(value, str) else dump(value)


class Number(Shape):
    """A number, whole unless `kind` is float."""

    def __init__(self, minimum: int | None = None, maximum: int | None = None, *, kind: type = int) -> None:
        super().__init__(minimum, maximum)
        self.kind = kind

    def takes(self, value: Any) -> bool:
        return isinstance(value, int if self.kind is int else int | float) and not isinstance(value, bool)

    def bounds(self, value: Any, client: str, service: str) -> Iterator[Complaint]:
        if self.minimum is not None and value < self.minimum:
            yield CLIENT, f"Invalid value for parameter {client}, value: {value}, valid min value: {self.minimum}"
        if self.maximum is not None and value > self.maximum:
            said = f"Member must have value less than or equal to {self.maximum}"
            yield SERVICE, unsatisfied(self.show(value), service, said)


class Flag(Shape):
    """true or false."""

    kind = bool

    def bounds(self, value: Any, client: str, service: str) -> Iterator[Complaint]:
        return iter(())


class Many(Shape):
    """A list."""

    kind = list

    def __init__(self, member: Shape, minimum: int | None = None, maximum: int | None = None) -> None:
        super().__init__(minimum, maximum)
        self.member = member

    def bounds(self, value: Any, client: str, service: str) -> Iterator[Complaint]:
        yield from super().bounds(value, client, service)
        for index, item in enumerate(value):
            yield from self.member.check(item, f"{client}[{index}]", f"{service}.{index + 1}.member")

    def show(self, value: Any) -> str | None:
        return f"[{', '.join(str(self.member.show(item)) for item in value)}]"


class Structure(Shape):
    """An object with certain fields."""

    kind = dict

    def __init__(self, name: str, fields: Mapping[str, Shape], required: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.name = name
        self.fields = fields
        self.required = required

    def bounds(self, value: Any, client: str, service: str) -> Iterator[Complaint]:
        for name in self.required:
            if name not in value:
                yield CLIENT, f'Missing required parameter in {client or "input"}: "{name}"'
        for name in value:
            if name not in self.fields:
                known = ", ".join(self.fields)
                yield CLIENT, f'Unknown parameter in {client or "input"}: "{name}", must be one of: {known}'
        for name, shape in self.fields.items():
            if name in value:
                inner = f"{client}.{name}" if client else name
                yield from shape.check(value[name], inner, f"{service}.{name}" if service else name)

    def plain(self, value: Any) -> Any:
        return {name: self.fields[name].plain(item) for name, item in value.items()}

    def show(self, value: Any) -> str | None:
        shown = (f"{name}={self.fields[name].show(item)}" for name, item in value.items() if name in self.fields)
        return f"{self.name}({', '.join(shown)})"


def unsatisfied(value: str | None, place: str, constraint: str) -> str:
    """The service's sentence about a value that breaks a constraint."""
    quoted = "Value" if value is None else f"Value '{value}'"
    return f"{quoted} at '{place}' failed to satisfy constraint: {constraint}"


def check(shape: Structure, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, all documents as texts. Raises ParamValidationError or ValidationException."""
    complaints = list(shape.check(params, "", ""))
    local = [sentence for who, sentence in complaints if who == CLIENT]
    if local:
        raise ApiError("ParamValidationError", "\n".join(("Parameter validation failed:", *local)))
    if complaints:
        count = f"{len(complaints)} validation error{'s' if len(complaints) > 1 else ''} detected"
        raise invalid(f"{count}: {'; '.join(sentence for _, sentence in complaints)}")
    found: dict[str, Any] = shape.plain(params)
    return found
