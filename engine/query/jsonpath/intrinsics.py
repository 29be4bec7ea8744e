"""The intrinsic functions `States.…`, one decorated function each.

The signature names the kinds of the arguments; they are checked before a function is called, so the functions need
not. `name?` may be left out, `name*` may come any number of times. A function says no by raising `Refused`. The
docstring and the example are printed in the reference documentation, and a test runs the example.

Source: AWS, "Intrinsic functions for JSONPath states"; what is not documented there follows recordings of AWS.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from engine.query.jsonpath.java import JavaRandom, half_up, hash_order, to_string
from engine.values import JSON, dump, equal, read_json

MAX_TEXT = 10_000
"""Longest text for Base64Encode, Base64Decode and Hash, in characters."""

MAX_RANGE = 1_000
"""Most elements that ArrayRange makes."""

HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


class Refused(Exception):
    """A function cannot work with its arguments. The message is the reason."""


class Chance(Protocol):
    """What the functions need of `random.Random`."""

    def randrange(self, start: int, stop: int, /) -> int:
        """A whole number from start to stop, which is excluded."""

    def getrandbits(self, bits: int, /) -> int:
        """A whole number of that many bits."""


class Example(NamedTuple):
    """An expression, the state's input, and the result (drawn from `Random(0)` where chance is involved)."""

    expression: str
    input: JSON
    result: JSON


class Intrinsic(NamedTuple):
    """One function: `kinds` of the arguments, how few and how many (None: any number) it takes."""

    name: str
    kinds: tuple[str, ...]
    fewest: int
    most: int | None
    random: bool
    run: Callable[..., JSON]
    doc: str
    example: Example

    def kind(self, position: int) -> str:
        """The kind of the argument at a position, counted from 0."""
        return self.kinds[min(position, len(self.kinds) - 1)]


INTRINSICS: dict[str, Intrinsic] = {}
"""Every function by its full name."""


def intrinsic(
    name: str, *signature: str, example: tuple[str, JSON, JSON], random: bool = False
) -> Callable[[Any], Any]:
    """Register the decorated function. With `random`, it is given the scope's generator before its arguments."""

    def register(run: Callable[..., JSON]) -> Callable[..., JSON]:
        fewest = sum(kind[-1] not in "?*" for kind in signature)
        most = None if signature and signature[-1].endswith("*") else len(signature)
        kinds = tuple(kind.rstrip("?*") for kind in signature)
        doc = (run.__doc__ or "").strip()
        INTRINSICS[name] = Intrinsic(name, kinds, fewest, most, random, run, doc, Example(*example))
        return run

    return register


@intrinsic("States.Array", "any*", example=("States.Array($.id, 'x', 2)", {"id": 123456}, [123456, "x", 2]))
def array(*values: JSON) -> JSON:
    """An array of the arguments."""
    return list(values)


@intrinsic(
    "States.ArrayPartition",
    "array",
    "number",
    example=("States.ArrayPartition($.numbers, 2)", {"numbers": [1, 2, 3, 4, 5]}, [[1, 2], [3, 4], [5]]),
)
def array_partition(values: list[JSON], size: float) -> JSON:
    """The array cut into chunks of a size, which is rounded to a whole number; the last chunk may be shorter."""
    step = half_up(size)
    if step < 1:
        raise Refused(f"the chunk size must be positive, but was {dump(size)}")
    return [values[start : start + step] for start in range(0, len(values), step)]


@intrinsic(
    "States.ArrayContains",
    "array",
    "any",
    example=("States.ArrayContains($.numbers, 3)", {"numbers": [1, 2, 3]}, True),
)
def array_contains(values: list[JSON], wanted: JSON) -> JSON:
    """Whether a value is among the elements; objects and arrays are compared by content."""
    return any(equal(value, wanted) for value in values)


@intrinsic(
    "States.ArrayRange", "number", "number", "number", example=("States.ArrayRange(1, 9, 2)", None, [1, 3, 5, 7, 9])
)
def array_range(first: float, last: float, step: float) -> JSON:
    """Numbers from the first to the last, both included, in steps; all three are rounded. At most 1000 elements."""
    start, stop, by = half_up(first), half_up(last), half_up(step)
    if by == 0:
        raise Refused("the step must not be 0")
    count = max(0, (stop - start) // by + 1)
    if count > MAX_RANGE:
        raise Refused(f"the array would have {count} elements; at most {MAX_RANGE} are allowed")
    return list(range(start, start + count * by, by))


@intrinsic(
    "States.ArrayGetItem",
    "array",
    "number",
    example=("States.ArrayGetItem($.names, 1)", {"names": ["Ada", "Grace"]}, "Grace"),
)
def array_get_item(values: list[JSON], index: float) -> JSON:
    """The element at an index, counted from 0."""
    if index != half_up(index):
        raise Refused(f"the index must be a whole number, but was {dump(index)}")
    if not 0 <= index < len(values):
        raise Refused(f"the index {dump(index)} is outside an array of {len(values)} elements")
    return values[int(index)]


@intrinsic("States.ArrayLength", "array", example=("States.ArrayLength($.names)", {"names": ["Ada", "Grace"]}, 2))
def array_length(values: list[JSON]) -> JSON:
    """How many elements an array has."""
    return len(values)


@intrinsic(
    "States.ArrayUnique",
    "array",
    example=("States.ArrayUnique($.numbers)", {"numbers": [3, 1, 3, 2, 1]}, [3, 1, 2]),
)
def array_unique(values: list[JSON]) -> JSON:
    """The elements without repetitions, in the order in which they first appear."""
    found: dict[object, JSON] = {}
    for value in values:
        found.setdefault(_identity(value), value)
    return list(found.values())


def _identity(value: JSON) -> object:
    """A hashable that is equal for equal values, and apart for 1 and true."""
    if isinstance(value, dict):
        return frozenset((key, _identity(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(map(_identity, value))
    return (isinstance(value, bool), value)


@intrinsic(
    "States.Base64Encode", "string", example=("States.Base64Encode('Data to encode')", None, "RGF0YSB0byBlbmNvZGU=")
)
def base64_encode(text: str) -> JSON:
    """Base64 of the UTF-8 form of a text of at most 10,000 characters."""
    return base64.b64encode(_bytes(text)).decode()


@intrinsic("States.Base64Decode", "string", example=("States.Base64Decode('RGVjb2RlZCBkYXRh')", None, "Decoded data"))
def base64_decode(text: str) -> JSON:
    """The text whose Base64 form is given, at most 10,000 characters."""
    try:
        return base64.b64decode(_bytes(text), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Refused("the text is not the Base64 form of a UTF-8 text") from None


@intrinsic(
    "States.Hash",
    "string",
    "string",
    example=("States.Hash('input data', 'SHA-1')", None, "aaff4a450a104cd177d28d18d74485e8cae074b7"),
)
def hash_(text: str, algorithm: str) -> JSON:
    """The hash of a text in hexadecimal digits: MD5, SHA-1, SHA-256, SHA-384 or SHA-512."""
    if algorithm not in HASHES:
        raise Refused(f"the algorithm must be one of {', '.join(HASHES)}, but was {algorithm}")
    return hashlib.new(HASHES[algorithm], _bytes(text), usedforsecurity=False).hexdigest()


def _bytes(text: str) -> bytes:
    if len(text) > MAX_TEXT:
        raise Refused(f"the text must not be longer than {MAX_TEXT} characters")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Refused("the text has a surrogate without its other half") from None


@intrinsic(
    "States.JsonMerge",
    "object",
    "object",
    "boolean",
    example=("States.JsonMerge($.a, $.b, false)", {"a": {"x": {"y": 1}}, "b": {"x": {"z": 2}}}, {"x": {"z": 2}}),
)
def json_merge(first: dict[str, JSON], second: dict[str, JSON], deep: bool) -> JSON:
    """Both objects as one; members of the second win. Only the shallow form (false) exists."""
    if deep:
        raise Refused("objects can be merged shallowly only; the third argument must be false")
    merged = {**first, **second}
    return {name: merged[name] for name in hash_order(merged)}


@intrinsic("States.StringToJson", "string", example=("States.StringToJson($.text)", {"text": '{"a": [1]}'}, {"a": [1]}))
def string_to_json(text: str) -> JSON:
    """The value of a JSON text; null for a blank one."""
    if not text.strip():
        return None
    try:
        return read_json(text)
    except ValueError as wrong:
        raise Refused(f"the text is no JSON: {wrong}") from None


@intrinsic("States.JsonToString", "any", example=("States.JsonToString($.order)", {"order": {"id": 7}}, '{"id":7}'))
def json_to_string(value: JSON) -> JSON:
    """The JSON text of a value, without spaces."""
    return dump(value)


@intrinsic(
    "States.MathRandom",
    "number",
    "number",
    "number?",
    example=("States.MathRandom(1, 999)", None, 865),
    random=True,
)
def math_random(chance: Chance, first: float, last: float, seed: float | None = None) -> JSON:
    """A whole number from the first (included) to the last (excluded); with a seed, always the same one."""
    start, stop = half_up(first), half_up(last)
    if start >= stop:
        raise Refused(f"the first number must be less than the second, but {start} is not less than {stop}")
    if seed is None:
        return chance.randrange(start, stop)
    return start + JavaRandom(half_up(seed)).below(stop - start)


@intrinsic("States.MathAdd", "number", "number", example=("States.MathAdd($.count, -1)", {"count": 111}, 110))
def math_add(first: float, second: float) -> JSON:
    """The sum of two numbers, each rounded first; a half goes up, below zero too (-1.5 is -1)."""
    return half_up(first) + half_up(second)


@intrinsic(
    "States.StringSplit",
    "string",
    "string",
    example=("States.StringSplit($.text, '.+')", {"text": "a.b+c..d"}, ["a", "b", "c", "d"]),
)
def string_split(text: str, delimiters: str) -> JSON:
    """The parts of a text between delimiters: each character of the second argument is one. No part is empty."""
    first = delimiters[:1]
    for other in delimiters[1:]:
        text = text.replace(other, first)
    return [part for part in (text.split(first) if first else [text]) if part]


@intrinsic("States.UUID", example=("States.UUID()", None, "e3e70682-c209-4cac-a29f-6fbed82c07cd"), random=True)
def uuid_(chance: Chance) -> JSON:
    """A version 4 UUID."""
    bits = chance.getrandbits(128)
    bits = bits & ~(0xF << 76) | 4 << 76  # the version
    bits = bits & ~(0x3 << 62) | 2 << 62  # the variant
    text = f"{bits:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@intrinsic(
    "States.Format",
    "template",
    "any*",
    example=("States.Format('Ride {} costs \\{{}\\}', $.id, 12.5)", {"id": "r-7"}, "Ride r-7 costs {12.5}"),
)
def format_(parts: tuple[str, ...], *values: JSON) -> JSON:
    """A text with each `{}` replaced by an argument. Braces that are meant as such are written `\\{` and `\\}`."""
    if len(parts) - 1 != len(values):
        raise Refused(f"the template has {len(parts) - 1} places for {len(values)} arguments")
    filled = [parts[0]]
    for value, part in zip(values, parts[1:], strict=True):
        filled += (to_string(value), part)
    return "".join(filled)
