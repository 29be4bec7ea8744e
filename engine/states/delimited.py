"""Tables as text (CSV), read as Step Functions reads them. Source: AWS, "How Step Functions parses input CSV files".

It differs from RFC 4180, and so from Python's `csv`: a backslash escapes itself, a quotation mark and the delimiter,
and is dropped before anything else; two quotation marks stand for one in a field without quotation marks too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator


def records(text: str, delimiter: str) -> Iterator[list[str]]:
    """The records of a text, which are its lines but for those that a quoted field goes over; blank ones are left out.

    `delimiter` is one character. A quotation mark inside a field that does not begin with one is a character of it.
    """
    between = re.escape(delimiter)
    end = rf"({between}|\r\n?|\n|\Z)"
    plain = re.compile(rf'(?:([^"\\{between}\r\n]*)|"([^"\\]*(?:""[^"\\]*)*)"){end}').match
    piece = re.compile(rf'[^"\\{between}\r\n]+|\\[\\"{between}]?|""|"|{end}').match
    record: list[str] = []
    here = 0
    while here < len(text):
        if found := plain(text, here):
            bare, quoted, ending = found.groups()
            field, here = bare if quoted is None else quoted.replace('""', '"'), found.end()
            known = bool(bare) or quoted is not None
        else:
            field, ending, here = _field(text, here, piece)
            known = True
        if ending == delimiter:
            record.append(field)
        else:
            if known or record:
                yield [*record, field]
            record = []
    if record:
        yield [*record, ""]


def _field(text: str, here: int, piece: Callable[[str, int], re.Match[str] | None]) -> tuple[str, str, int]:
    """A field with escapes, from its first character on: the field, what ends it, and where the next one begins."""
    parts: list[str] = []
    quoted = text[here] == '"'
    here += quoted
    while found := piece(text, here):
        token, here = found.group(), found.end()
        ends = found.group(1) is not None
        if ends and (not quoted or not token):
            return "".join(parts), token, here
        if token == '"' and quoted:
            quoted = False
        elif token[:1] == "\\":
            parts.append(token[1:])
        else:
            parts.append('"' if token == '""' else token)
    raise AssertionError("every character is a piece")
