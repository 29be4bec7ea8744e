"""State machines: create, describe, list, update, delete."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from engine.machine import StateMachine
from engine.service import arns
from engine.service.activity_guard import require_activities
from engine.service.errors import ApiError, invalid, no_machine
from engine.service.paging import page
from engine.service.records import Machine, Records, Revision, Version
from engine.service.references import variable_references
from engine.service.tags import put_tags
from engine.service.validation import accept
from engine.states.moments import moment

Params = dict[str, Any]

SETTINGS: Final = (
    "definition",
    "roleArn",
    "loggingConfiguration",
    "tracingConfiguration",
    "encryptionConfiguration",
)
"""What a revision consists of."""

IDEMPOTENT: Final = (
    "definition",
    "type",
    "loggingConfiguration",
    "tracingConfiguration",
    "encryptionConfiguration",
    "publish",
    "versionDescription",
)
"""What a repeated CreateStateMachine must have in common with the first (API Reference, CreateStateMachine)."""

MAX_VERSIONS: Final = 1000
"""AWS's quota."""
UNCHANGED: Final = (
    "Either the definition, the role ARN, the LoggingConfiguration, the EncryptionConfiguration or the "
    "TracingConfiguration must be specified"
)


def create_machine(records: Records, params: Params, now: float) -> dict[str, Any]:
    """CreateStateMachine. The same request again answers as the first one did."""
    name, kind = params["name"], params.get("type", "STANDARD")
    arns.check_name(name)
    _check_publishing(params)
    settings = _settings(params)
    machine = _accept(records, params["definition"], kind)
    arn = arns.make(arns.STATE_MACHINE, name)
    request = {field: params.get(field) for field in IDEMPOTENT} | {"type": kind}
    known = records.machines.get(arn)
    if known is not None and known.request != request:
        raise ApiError("StateMachineAlreadyExists", f"State Machine Already Exists: '{arn}'")
    if known is None:
        put_tags(records, arn, params.get("tags", []))
        first = _revision(None, machine, settings, now)
        known = records.machines[arn] = Machine(arn, name, kind, first, request)
        if params.get("publish"):
            publish(known, params.get("versionDescription"), now)
    answer = {"stateMachineArn": arn, "creationDate": moment(known.created)}
    if params.get("publish"):
        answer["stateMachineVersionArn"] = f"{arn}:1"
    return answer


def update_machine(records: Records, params: Params, now: float) -> dict[str, Any]:
    """UpdateStateMachine. What changes nothing makes no new revision."""
    machine = records.machine(params["stateMachineArn"])
    if not params.keys() & set(SETTINGS):
        raise ApiError("MissingRequiredParameter", UNCHANGED)
    _check_publishing(params)
    settings = {**machine.revision.settings, **_settings(params, updated=True)}
    if settings != machine.revision.settings:
        flow = machine.revision.machine
        if settings["definition"] != machine.revision.definition:
            flow = _accept(records, settings["definition"], machine.kind)
        machine.revision = _revision(str(uuid.uuid4()), flow, settings, now)
    answer: dict[str, Any] = {"updateDate": moment(now)}
    if machine.revision.id is not None:
        answer["revisionId"] = machine.revision.id
    if params.get("publish"):
        answer["stateMachineVersionArn"] = publish(machine, params.get("versionDescription"), now).arn
    return answer


def describe_machine(records: Records, params: Params) -> dict[str, Any]:
    """DescribeStateMachine, of a version too. An alias is described by DescribeStateMachineAlias."""
    machine, version, alias = records.qualified(params["stateMachineArn"])
    if alias is not None:
        raise no_machine(alias.arn)
    revision = version.revision if version is not None else machine.revision
    answer = {
        "stateMachineArn": version.arn if version is not None else machine.arn,
        "status": "ACTIVE",
        "type": machine.kind,
        "creationDate": moment(version.created if version is not None else machine.created),
        **facts(machine, revision, params.get("includedData")),
    }
    if version is not None and version.description is not None:
        answer["description"] = version.description
    return answer


def facts(machine: Machine, revision: Revision, included: str | None) -> dict[str, Any]:
    """What is told of a revision wherever it is described. Encryption is told where it was configured."""
    settings = revision.settings
    found = {
        "name": machine.name,
        "roleArn": settings["roleArn"],
        "loggingConfiguration": settings["loggingConfiguration"],
        "tracingConfiguration": settings["tracingConfiguration"],
    }
    if settings.get("encryptionConfiguration") is not None:
        found["encryptionConfiguration"] = settings["encryptionConfiguration"]
    if revision.id is not None:
        found["revisionId"] = revision.id
    if included != "METADATA_ONLY":
        found["definition"] = revision.definition
        if revision.references:
            found["variableReferences"] = revision.references
    return found


def list_machines(records: Records, params: Params) -> dict[str, Any]:
    """ListStateMachines, in the order of their names."""
    machines = sorted(records.machines.values(), key=lambda machine: machine.name)
    found, more = page(machines, "ListStateMachines", params)
    shown = [
        {
            "stateMachineArn": machine.arn,
            "name": machine.name,
            "type": machine.kind,
            "creationDate": moment(machine.created),
        }
        for machine in found
    ]
    return {"stateMachines": shown, **more}


def delete_machine(records: Records, params: Params) -> dict[str, Any]:
    """DeleteStateMachine, with its versions and aliases; one that does not exist is deleted already.

    Executions that run go on to their end and can still be described.
    """
    arn = params["stateMachineArn"]
    if arns.parse(arn, arns.STATE_MACHINE).qualifier:
        raise invalid(f"Cannot delete a qualified state machine ARN: {arn}")
    records.machines.pop(arn, None)
    records.tags.pop(arn, None)
    return {}


def publish(machine: Machine, description: str | None, now: float) -> Version:
    """The version of the present revision, made if there is none yet. Raises ServiceQuotaExceededException."""
    for version in machine.versions.values():
        if version.revision is machine.revision:
            return version
    if len(machine.versions) >= MAX_VERSIONS:
        raise ApiError("ServiceQuotaExceededException", f"A state machine can have at most {MAX_VERSIONS} versions")
    machine.published += 1
    number = machine.published
    version = Version(f"{machine.arn}:{number}", number, machine.revision, description, now)
    machine.versions[number] = version
    return version


def _check_publishing(params: Mapping[str, Any]) -> None:
    if "versionDescription" in params and not params.get("publish"):
        raise invalid("Version description can only be set when publish is true")


def _settings(params: Params, *, updated: bool = False) -> dict[str, Any]:
    """The settings in a request; those that a new state machine need not give have defaults."""
    found: dict[str, Any] = {name: params[name] for name in SETTINGS if name in params}
    if "loggingConfiguration" in found or not updated:
        found["loggingConfiguration"] = _logging(params.get("loggingConfiguration", {}))
    if "tracingConfiguration" in found or not updated:
        found["tracingConfiguration"] = {"enabled": False, **params.get("tracingConfiguration", {})}
    return found


def _logging(given: dict[str, Any]) -> dict[str, Any]:
    found = {"level": "OFF", "includeExecutionData": False, **given}
    destinations = len(found.get("destinations", []))
    if destinations > 1 or (found["level"] != "OFF" and destinations != 1):
        said = "Invalid Logging Configuration: Must specify exactly one Log Destination."
        raise ApiError("InvalidLoggingConfiguration", said)
    return found


def _accept(records: Records, text: str, kind: str) -> StateMachine:
    machine = accept(text, kind)
    require_activities(machine, records.activities)
    return machine


def _revision(identity: str | None, machine: StateMachine, settings: dict[str, Any], now: float) -> Revision:
    revision = Revision(identity, machine, settings, now)
    revision.references = variable_references(machine)
    return revision
