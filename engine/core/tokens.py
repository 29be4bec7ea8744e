"""Task tokens: what `.waitForTaskToken` and activities hand out, and what comes back.

A token names the execution and the call, and carries a code that only whoever has the execution's secret can make:
`<execution>~<path>~<number>~<code>`. Every character is safe in a URL. Making one is pure: the secret is data of the
execution. An execution without a secret, as in a simulation, has the plain token `<execution>:<path>#<number>`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final, NamedTuple

from engine.core.execution import Execution

CODE_BYTES: Final = 18


class TaskToken(NamedTuple):
    """A token taken apart: the execution's name, the call inside it (`<path>#<number>`), the code."""

    name: str
    inner: str
    code: str


def task_token(execution: Execution, inner: str) -> str:
    """The token of the call `inner` (`<path>#<number>`) of that execution."""
    if not execution.secret:
        return f"{execution.name}:{inner}"
    return f"{execution.name}~{inner.replace('#', '~')}~{_code(execution, inner)}"


def read_token(token: str) -> TaskToken | None:
    """The parts of a token; None when it is none."""
    name, _, rest = token.rpartition(":")
    if name and "#" in rest and "~" not in token:
        return TaskToken(name, rest, "")
    parts = token.split("~")
    if len(parts) != 4 or not all(parts):
        return None
    return TaskToken(parts[0], f"{parts[1]}#{parts[2]}", parts[3])


def genuine(execution: Execution, token: TaskToken) -> bool:
    """Whether this execution has made the token."""
    wanted = _code(execution, token.inner) if execution.secret else ""
    return hmac.compare_digest(wanted.encode(), token.code.encode())


def _code(execution: Execution, inner: str) -> str:
    made = hmac.digest(execution.secret.encode(), f"{execution.name} {inner}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(made[:CODE_BYTES]).decode()
