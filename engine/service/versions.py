"""Versions of state machines, and the aliases that route to them."""

from __future__ import annotations

from typing import Any, Final

from engine.service import arns
from engine.service.errors import ApiError, invalid, no_machine, no_resource
from engine.service.machines import Params, publish
from engine.service.paging import page
from engine.service.records import Alias, Machine, Records
from engine.states.moments import moment

FIRST: Final = "INITIAL"
"""How a request names the first revision, which has no id."""

MAX_ALIASES: Final = 100


def publish_version(records: Records, params: Params, now: float) -> dict[str, Any]:
    """PublishStateMachineVersion. The present revision again answers its version."""
    machine = records.machine(params["stateMachineArn"])
    current = machine.revision.id
    wanted = params.get("revisionId")
    if wanted is not None and wanted != (current or FIRST):
        said = f"Failed to publish the State Machine version for revision {wanted}."
        raise ApiError("ConflictException", f"{said} The current State Machine revision is {current or FIRST}.")
    version = publish(machine, params.get("description"), now)
    return {"stateMachineVersionArn": version.arn, "creationDate": moment(version.created)}


def list_versions(records: Records, params: Params) -> dict[str, Any]:
    """ListStateMachineVersions, the youngest first; none for a state machine that does not exist."""
    arns.parse(params["stateMachineArn"], arns.STATE_MACHINE)
    machine = records.machines.get(params["stateMachineArn"])
    versions = [] if machine is None else list(reversed(machine.versions.values()))
    found, more = page(versions, "ListStateMachineVersions", params)
    shown = [{"stateMachineVersionArn": version.arn, "creationDate": moment(version.created)} for version in found]
    return {"stateMachineVersions": shown, **more}


def delete_version(records: Records, params: Params) -> dict[str, Any]:
    """DeleteStateMachineVersion; one that does not exist is deleted already."""
    arn = params["stateMachineVersionArn"]
    found = arns.parse(arn, arns.STATE_MACHINE)
    if not found.qualifier.isdecimal():
        raise invalid(f"Not a state machine version ARN: {arn}")
    machine = records.machines.get(arns.unqualified(arn))
    if machine is None:
        return {}
    using = [alias.name for alias in machine.aliases.values() if arn in alias.routes]
    if using:
        said = "Version to be deleted must not be referenced by an alias. "
        listed = f"Current list of aliases referencing this version: [{', '.join(using)}]"
        raise ApiError("ConflictException", said + listed)
    machine.versions.pop(int(found.qualifier), None)
    return {}


def create_alias(records: Records, params: Params, now: float) -> dict[str, Any]:
    """CreateStateMachineAlias. The same request again answers as the first one did."""
    machine, routes = _routes(records, params["routingConfiguration"])
    name, description = params["name"], params.get("description")
    known = machine.aliases.get(name)
    if known is not None and (known.routes, known.description) != (routes, description):
        said = "an alias with the same name and a different routing configuration already exists"
        raise ApiError("ConflictException", f"Failed to create alias because {said}.")
    if known is None:
        if len(machine.aliases) >= MAX_ALIASES:
            said = f"A state machine can have at most {MAX_ALIASES} aliases"
            raise ApiError("ServiceQuotaExceededException", said)
        known = machine.aliases[name] = Alias(f"{machine.arn}:{name}", name, routes, description, now)
    return {"stateMachineAliasArn": known.arn, "creationDate": moment(known.created)}


def update_alias(records: Records, params: Params, now: float) -> dict[str, Any]:
    """UpdateStateMachineAlias."""
    machine, alias = _alias(records, params["stateMachineAliasArn"])
    if not params.keys() & {"description", "routingConfiguration"}:
        raise invalid("Either the description or the routing configuration must be specified")
    if "routingConfiguration" in params:
        owner, routes = _routes(records, params["routingConfiguration"])
        if owner is not machine:
            raise no_resource()
        alias.routes = routes
    alias.description = params.get("description", alias.description)
    alias.updated = now
    return {"updateDate": moment(now)}


def describe_alias(records: Records, params: Params) -> dict[str, Any]:
    """DescribeStateMachineAlias."""
    _, alias = _alias(records, params["stateMachineAliasArn"])
    answer = {
        "stateMachineAliasArn": alias.arn,
        "name": alias.name,
        "routingConfiguration": [
            {"stateMachineVersionArn": arn, "weight": weight} for arn, weight in alias.routes.items()
        ],
        "creationDate": moment(alias.created),
        "updateDate": moment(alias.updated),
    }
    return answer if alias.description is None else {**answer, "description": alias.description}


def list_aliases(records: Records, params: Params) -> dict[str, Any]:
    """ListStateMachineAliases, the oldest first (as recorded); for a version those that route to it."""
    machine, version, alias = records.qualified(params["stateMachineArn"])
    if alias is not None:
        raise no_machine(alias.arn)
    aliases = [known for known in machine.aliases.values() if version is None or version.arn in known.routes]
    found, more = page(aliases, "ListStateMachineAliases", params)
    shown = [{"stateMachineAliasArn": known.arn, "creationDate": moment(known.created)} for known in found]
    return {"stateMachineAliases": shown, **more}


def delete_alias(records: Records, params: Params) -> dict[str, Any]:
    """DeleteStateMachineAlias."""
    machine, alias = _alias(records, params["stateMachineAliasArn"])
    del machine.aliases[alias.name]
    return {}


def _alias(records: Records, arn: str) -> tuple[Machine, Alias]:
    """The alias and its state machine. Raises InvalidArn, ResourceNotFound."""
    found = arns.parse(arn, arns.STATE_MACHINE)
    machine = records.machines.get(arns.unqualified(arn))
    if machine is None or found.qualifier not in machine.aliases:
        raise no_resource()
    return machine, machine.aliases[found.qualifier]


def _routes(records: Records, given: list[dict[str, Any]]) -> tuple[Machine, dict[str, int]]:
    """The state machine and the weights of a routing configuration. Raises ValidationException, ResourceNotFound."""
    versions = [item["stateMachineVersionArn"] for item in given]
    weights = [item["weight"] for item in given]
    received = f"Received: [{', '.join(versions)}]"
    if any(not arns.parse(arn, arns.STATE_MACHINE).qualifier.isdecimal() for arn in versions):
        raise invalid(f"Routing configuration must contain state machine version ARNs. {received}")
    if len(set(versions)) != len(versions):
        raise invalid(f"Routing configuration must contain distinct state machine version ARNs. {received}")
    if sum(weights) != 100:
        raise invalid(f"Sum of routing configuration weights must equal 100. Received: {weights}")
    if len({arns.unqualified(arn) for arn in versions}) > 1:
        raise invalid(f"Routing configuration must contain versions of one state machine. {received}")
    machine = records.machines.get(arns.unqualified(versions[0]))
    known = {version.arn for version in machine.versions.values()} if machine is not None else set()
    if machine is None or not known.issuperset(versions):
        raise no_resource()
    return machine, dict(zip(versions, weights, strict=True))
