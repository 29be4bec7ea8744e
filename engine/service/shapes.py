"""The shapes of all operations' parameters. Source: AWS Step Functions API Reference, "Request Parameters"."""

from __future__ import annotations

from typing import Final

from engine.service.parameters import Document, Flag, Many, Number, Shape, Structure, Text
from engine.values import MAX_PAYLOAD_BYTES

ALIAS_NAME: Final = r"^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$"

ARN: Final = Text(1, 256)
LONG_ARN: Final = Text(1, 2000)
NAME: Final = Text(1, 80)
PAYLOAD: Final = Document(None, MAX_PAYLOAD_BYTES, secret=True)
DEFINITION: Final = Document(1, 1_048_576, secret=True)
DESCRIPTION: Final = Text(None, 256, secret=True)
ERROR: Final = Text(0, 256, secret=True)
CAUSE: Final = Text(0, 32_768, secret=True)
TASK_TOKEN: Final = Text(1, 2048, secret=True)
STATE_NAME: Final = Text(1, 80, secret=True)
PAGE_TOKEN: Final = Text(1, 1024)
PAGE: Final = Number(0, 1000)
TYPE: Final = Text(words=("STANDARD", "EXPRESS"))
INCLUDED: Final = Text(words=("ALL_DATA", "METADATA_ONLY"))
TRACE: Final = Text(0, 256, pattern=r"[\x00-\x7f]*", written=r"\p{ASCII}*")
STATUS: Final = Text(words=("SUCCEEDED", "TIMED_OUT", "PENDING_REDRIVE", "ABORTED", "FAILED", "RUNNING"))

TAGS: Final = Many(Structure("Tag", {"key": Text(1, 128), "value": Text(0, 256)}))
ENCRYPTION: Final = Structure(
    "EncryptionConfiguration",
    {
        "kmsKeyId": Text(1, 2048),
        "kmsDataKeyReusePeriodSeconds": Number(60, 900),
        "type": Text(words=("AWS_OWNED_KEY", "CUSTOMER_MANAGED_KMS_KEY")),
    },
    ("type",),
)
DESTINATION: Final = Structure(
    "LogDestination",
    {"cloudWatchLogsLogGroup": Structure("CloudWatchLogsLogGroup", {"logGroupArn": ARN})},
)
LOGGING: Final = Structure(
    "LoggingConfiguration",
    {
        "level": Text(words=("ALL", "ERROR", "FATAL", "OFF")),
        "includeExecutionData": Flag(),
        "destinations": Many(DESTINATION),
    },
)
TRACING: Final = Structure("TracingConfiguration", {"enabled": Flag()})
ROUTING: Final = Many(
    Structure(
        "RoutingConfigurationListItem",
        {"stateMachineVersionArn": ARN, "weight": Number(0, 100)},
        ("stateMachineVersionArn", "weight"),
    ),
    1,
    2,
)
MOCK: Final = Structure(
    "MockInput",
    {
        "result": PAYLOAD,
        "errorOutput": Structure("MockErrorOutput", {"error": ERROR, "cause": CAUSE}),
        "fieldValidationMode": Text(words=("STRICT", "PRESENT", "NONE")),
    },
)
STATE_CONFIGURATION: Final = Structure(
    "TestStateConfiguration",
    {
        "retrierRetryCount": Number(0),
        "errorCausedByState": STATE_NAME,
        "mapIterationFailureCount": Number(0),
        "mapItemReaderData": PAYLOAD,
    },
)
REVISION: Final[dict[str, Shape]] = {
    "definition": DEFINITION,
    "roleArn": ARN,
    "loggingConfiguration": LOGGING,
    "tracingConfiguration": TRACING,
    "publish": Flag(),
    "versionDescription": DESCRIPTION,
    "encryptionConfiguration": ENCRYPTION,
}
START: Final[dict[str, Shape]] = {"stateMachineArn": ARN, "name": NAME, "input": PAYLOAD, "traceHeader": TRACE}
PAGING: Final[dict[str, Shape]] = {"maxResults": PAGE, "nextToken": PAGE_TOKEN}


def _shape(required: str, **optional: Shape) -> Structure:
    """An operation's shape: the required parameters by name, all of them ARNs, then the optional ones."""
    names = tuple(required.split())
    return Structure("input", {**dict.fromkeys(names, ARN), **optional}, names)


def _having(required: str, fields: dict[str, Shape]) -> Structure:
    return Structure("input", fields, tuple(required.split()))


OPERATIONS: Final[dict[str, Structure]] = {
    "CreateActivity": _having("name", {"name": NAME, "tags": TAGS, "encryptionConfiguration": ENCRYPTION}),
    "CreateStateMachine": _having(
        "name definition roleArn",
        {
            "name": NAME,
            "definition": DEFINITION,
            "roleArn": ARN,
            "type": TYPE,
            "loggingConfiguration": LOGGING,
            "tags": TAGS,
            **REVISION,
        },
    ),
    "CreateStateMachineAlias": _having(
        "name routingConfiguration",
        {
            "description": DESCRIPTION,
            "name": Text(1, 80, pattern=ALIAS_NAME),
            "routingConfiguration": ROUTING,
        },
    ),
    "DeleteActivity": _shape("activityArn"),
    "DeleteStateMachine": _shape("stateMachineArn"),
    "DeleteStateMachineAlias": _shape("stateMachineAliasArn"),
    "DeleteStateMachineVersion": _having("stateMachineVersionArn", {"stateMachineVersionArn": LONG_ARN}),
    "DescribeActivity": _shape("activityArn"),
    "DescribeExecution": _shape("executionArn", includedData=INCLUDED),
    "DescribeMapRun": _having("mapRunArn", {"mapRunArn": LONG_ARN}),
    "DescribeStateMachine": _shape("stateMachineArn", includedData=INCLUDED),
    "DescribeStateMachineAlias": _shape("stateMachineAliasArn"),
    "DescribeStateMachineForExecution": _shape("executionArn", includedData=INCLUDED),
    "GetActivityTask": _shape("activityArn", workerName=NAME),
    "GetExecutionHistory": _shape(
        "executionArn",
        maxResults=PAGE,
        reverseOrder=Flag(),
        nextToken=PAGE_TOKEN,
        includeExecutionData=Flag(),
    ),
    "ListActivities": _having("", PAGING),
    "ListExecutions": _having(
        "",
        {
            "stateMachineArn": ARN,
            "statusFilter": STATUS,
            "maxResults": PAGE,
            "nextToken": Text(1, 3096),
            "mapRunArn": LONG_ARN,
            "redriveFilter": Text(words=("REDRIVEN", "NOT_REDRIVEN")),
        },
    ),
    "ListMapRuns": _shape("executionArn", **PAGING),
    "ListStateMachineAliases": _shape("stateMachineArn", nextToken=PAGE_TOKEN, maxResults=PAGE),
    "ListStateMachineVersions": _shape("stateMachineArn", nextToken=PAGE_TOKEN, maxResults=PAGE),
    "ListStateMachines": _having("", PAGING),
    "ListTagsForResource": _shape("resourceArn"),
    "PublishStateMachineVersion": _shape("stateMachineArn", revisionId=Text(), description=DESCRIPTION),
    "RedriveExecution": _shape("executionArn", clientToken=Text(1, 64, pattern="[!-~]+")),
    "SendTaskFailure": _having("taskToken", {"taskToken": TASK_TOKEN, "error": ERROR, "cause": CAUSE}),
    "SendTaskHeartbeat": _having("taskToken", {"taskToken": TASK_TOKEN}),
    "SendTaskSuccess": _having("taskToken output", {"taskToken": TASK_TOKEN, "output": PAYLOAD}),
    "StartExecution": _having("stateMachineArn", START),
    "StartSyncExecution": _having("stateMachineArn", {**START, "includedData": INCLUDED}),
    "StopExecution": _shape("executionArn", error=ERROR, cause=CAUSE),
    "TagResource": _having("resourceArn tags", {"resourceArn": ARN, "tags": TAGS}),
    "TestState": _having(
        "definition",
        {
            "definition": DEFINITION,
            "roleArn": ARN,
            "input": PAYLOAD,
            "inspectionLevel": Text(words=("INFO", "DEBUG", "TRACE")),
            "revealSecrets": Flag(),
            "variables": PAYLOAD,
            "stateName": STATE_NAME,
            "mock": MOCK,
            "context": PAYLOAD,
            "stateConfiguration": STATE_CONFIGURATION,
        },
    ),
    "UntagResource": _having("resourceArn tagKeys", {"resourceArn": ARN, "tagKeys": Many(Text(1, 128))}),
    "UpdateMapRun": _having(
        "mapRunArn",
        {
            "mapRunArn": LONG_ARN,
            "maxConcurrency": Number(0),
            "toleratedFailurePercentage": Number(0, 100, kind=float),
            "toleratedFailureCount": Number(0),
        },
    ),
    "UpdateStateMachine": _having("stateMachineArn", {"stateMachineArn": ARN, **REVISION}),
    "UpdateStateMachineAlias": _having(
        "stateMachineAliasArn",
        {"stateMachineAliasArn": ARN, "description": DESCRIPTION, "routingConfiguration": ROUTING},
    ),
    "ValidateStateMachineDefinition": _having(
        "definition",
        {
            "definition": DEFINITION,
            "type": TYPE,
            "severity": Text(words=("ERROR", "WARNING")),
            "maxResults": Number(0, 100),
        },
    ),
}
