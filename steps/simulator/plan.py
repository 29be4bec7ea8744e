"""The plan: everything that can be set, read from a mapping, a YAML or JSON text, or a file.

One error lists all mistakes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from steps.simulator import mailbox, wire, world  # they declare the kinds of fault
from steps.simulator.clock import parse_rfc3339
from steps.simulator.contract import STATUSES, Contract
from steps.simulator.faults import KINDS, FaultEntry, FaultKind
from steps.simulator.pricing import Tariff

# Well known: the secret of the test vector. A booking that trusts it trusts everybody.
TEST_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


class PlanError(ValueError):
    """The plan has mistakes; ``problems`` has one sentence for each, beginning with where it is."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What happens to every call without a fault. ``latency_ms``: {p50, p99} of a log-normal; None answers at once.

    ``drive``: a ride lives by itself, from its driver to its end, by its pickup time and the simulator's clock.
    """

    latency_ms: Mapping[str, float] | None = None
    read_lag_s: float = 0
    webhook_delay_ms: float = 0
    drive: bool = False


@dataclass(frozen=True, slots=True)
class Auth:
    """``required`` False: any token or none will do. Tokens live ``ttl_s`` seconds of the simulator's clock."""

    required: bool = False
    client_id: str = "booking"
    client_secret: str = "booking-secret"
    ttl_s: float = 3600


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where ride events are posted; ``url`` None: nowhere."""

    url: str | None = None
    secret: str = TEST_SECRET
    timeout_s: float = 15


@dataclass(frozen=True, slots=True)
class Plan:
    """``clock``: real or virtual.

    ``start``: seconds since 1970. ``hang_s``: overrides every fault's. ``faults``: in order.
    """

    seed: int = 42
    clock: str = "real"
    start: float | None = None
    hang_s: float | None = None
    contract: Contract = field(default_factory=Contract)
    defaults: Defaults = field(default_factory=Defaults)
    pricing: Tariff = field(default_factory=Tariff)
    auth: Auth = field(default_factory=Auth)
    webhook: Webhook = field(default_factory=Webhook)
    faults: tuple[FaultEntry, ...] = ()


DECLARED_IN = (wire, world, mailbox)
_SECTIONS: dict[str, type[Any]] = {
    "contract": Contract,
    "defaults": Defaults,
    "pricing": Tariff,
    "auth": Auth,
    "webhook": Webhook,
}
_ENTRY = ("op", "match", "nth", "times", "probability", "fault", "params")


def read_plan(document: Mapping[str, Any]) -> Plan:
    """The plan in ``document``.

    Missing parts have their defaults. PlanError for unknown names and impossible values.
    """
    problems = [f"{name}: is not part of a plan" for name in document if name not in {f.name for f in fields(Plan)}]
    values: dict[str, Any] = {}
    for name, kind in _SECTIONS.items():
        values[name] = _section(name, kind, document.get(name) or {}, problems)
    values["faults"] = tuple(
        entry
        for index, item in enumerate(document.get("faults") or [])
        if (entry := _entry(f"faults[{index}]", item, values["contract"], problems)) is not None
    )
    values["seed"] = document.get("seed", 42)
    if isinstance(values["seed"], bool) or not isinstance(values["seed"], int):
        problems.append("seed: must be an integer")
    values["clock"] = document.get("clock", "real")
    if values["clock"] not in ("real", "virtual"):
        problems.append("clock: must be real or virtual")
    values["start"] = _start(document.get("start"), problems)
    values["hang_s"] = document.get("hang_s")
    if values["hang_s"] is not None and not _is_number(values["hang_s"]):
        problems.append("hang_s: must be a number of seconds")
    problems += _impossible(values["defaults"], values["contract"], values["pricing"], values["webhook"])
    if problems:
        raise PlanError(problems)
    return Plan(**values)


def load_plan_text(text: str) -> Mapping[str, Any]:
    """The mapping in a YAML (or JSON) text. Times stay text. PlanError when it cannot be read."""
    import yaml  # slow to import, and not needed for plans given as mappings

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name for its table
            first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    try:
        document = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise PlanError([f"not YAML: {' '.join(str(error).split())}"]) from error
    if document is not None and not isinstance(document, dict):
        raise PlanError(["a plan is a mapping"])
    return document or {}


def load_plan_file(path: str | Path) -> Mapping[str, Any]:
    """The mapping in a plan file. PlanError when it is absent or cannot be read."""
    try:
        return load_plan_text(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError([f"cannot read {path}: {error}"]) from error


def _section(name: str, kind: type[Any], given: Any, problems: list[str]) -> Any:
    if not isinstance(given, dict):
        problems.append(f"{name}: must be a mapping")
        return kind()
    known = {item.name: item for item in fields(kind)}
    problems += [f"{name}.{key}: is not known" for key in given if key not in known]
    default, good = kind(), {}
    for key in known.keys() & given.keys():
        if _is_like(given[key], getattr(default, key)):
            good[key] = given[key]
        else:
            problems.append(f"{name}.{key}: has the wrong type")
    return kind(**good)


def _impossible(defaults: Defaults, contract: Contract, pricing: Tariff, webhook: Webhook) -> list[str]:
    found = []
    latency = defaults.latency_ms
    if latency is not None and not _is_latency(latency):
        found.append("defaults.latency_ms: must have p50, and may have p99, in milliseconds above 0")
    if defaults.read_lag_s > contract.read_lag_s:
        found.append(f"defaults.read_lag_s: beyond contract.read_lag_s ({contract.read_lag_s})")
    if pricing.round_to_minor < 1:
        found.append("pricing.round_to_minor: must be at least 1")
    try:
        parts = urlsplit(str(webhook.url))
        if webhook.url is not None and (parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0):
            found.append("webhook.url: must be an http or https URL")
    except ValueError:
        found.append("webhook.url: must be an http or https URL")
    try:
        base64.b64decode(webhook.secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        found.append("webhook.secret: must be whsec_ and base64")
    return found


def _entry(where: str, item: Any, contract: Contract, problems: list[str]) -> FaultEntry | None:
    if not isinstance(item, dict) or not isinstance(item.get("fault"), str):
        problems.append(f"{where}: must be a mapping with a fault")
        return None
    kind = KINDS.get(item["fault"])
    if kind is None:
        problems.append(f"{where}.fault: {item['fault']} is not one of {', '.join(sorted(KINDS))}")
        return None
    op = item.get("op", kind.ops[0] if len(kind.ops) == 1 else "createRide")
    found = [f"{where}.{key}: is not known" for key in item if key not in _ENTRY]
    if not any(fnmatchcase(known, str(op)) for known in kind.ops):
        found.append(f"{where}.op: {kind.name} is for {', '.join(kind.ops)}, not {op}")
    for key in ("nth", "times"):
        if item.get(key) is not None and (not isinstance(item[key], int) or item[key] < 1):
            found.append(f"{where}.{key}: must be a whole number from 1")
    probability = item.get("probability", 1.0)
    if not _is_number(probability) or probability > 1:
        found.append(f"{where}.probability: must be between 0 and 1")
    params, match = item.get("params") or {}, item.get("match") or {}
    if not isinstance(params, dict) or not isinstance(match, dict):
        found.append(f"{where}: match and params are mappings")
    else:
        found += _faults_in_params(f"{where}.params", kind, params, contract)
    problems += found
    if found:
        return None
    globs = {key: tuple(value) if isinstance(value, list) else (str(value),) for key, value in match.items()}
    return FaultEntry(str(op), kind, globs, item.get("nth"), item.get("times"), probability, params)


def _faults_in_params(where: str, kind: FaultKind, params: Mapping[str, Any], contract: Contract) -> list[str]:
    found = [f"{where}.{key}: {kind.name} has no such parameter" for key in params if key not in kind.params]
    for key in params.keys() & kind.params.keys():
        value, default = params[key], kind.params[key]
        if isinstance(default, float) and isinstance(value, list):
            good = len(value) == 2 and all(map(_is_number, value))
        else:
            good = key == "status" or _is_like(value, default)
        if not good:
            found.append(f"{where}.{key}: has the wrong type")
    for step in params.get("steps") or []:
        if not isinstance(step, dict) or step.get("to") not in STATUSES or not _is_number(step.get("after_s")):
            found.append(f"{where}.steps: each has after_s (seconds) and to (a ride status)")
        elif step.keys() - {"after_s", "to", "reason", "redispatching"}:
            found.append(f"{where}.steps: each has after_s, to, reason and redispatching, nothing else")
    if kind.name == "commit_late" and not found and _highest(params.get("after_s", 0)) > contract.max_commit_delay_s:
        found.append(f"{where}.after_s: beyond contract.max_commit_delay_s ({contract.max_commit_delay_s})")
    if kind.name == "read_lag" and not found and _highest(params.get("seconds", 0)) > contract.read_lag_s:
        found.append(f"{where}.seconds: beyond contract.read_lag_s ({contract.read_lag_s})")
    return found


def _start(value: Any, problems: list[str]) -> float | None:
    if value is None:
        return None
    try:
        return parse_rfc3339(value)
    except (TypeError, ValueError):
        problems.append("start: must be an RFC 3339 time with an offset")
        return None


def _is_latency(value: Any) -> bool:
    known = isinstance(value, dict) and "p50" in value and value.keys() <= {"p50", "p99"}
    return known and all(_is_number(number) and number > 0 for number in value.values())


def _highest(value: Any) -> float:
    return float(max(value) if isinstance(value, list) else value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _is_like(value: Any, default: Any) -> bool:
    """Whether a value may stand where the default stands; a default of None says nothing."""
    if default is None:
        return True
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, (int, float)):
        return _is_number(value)
    return isinstance(value, type(default))
