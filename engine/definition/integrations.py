"""AWS's optimized integrations: service -> action -> the patterns it can be called with.

Source: AWS Step Functions Developer Guide, "Integrating optimized services". Services that are not listed are not
judged; `aws-sdk:` integrations take every action.
"""

from __future__ import annotations

from typing import Final

_CALL: Final = ("",)
_SYNC: Final = ("", "sync")
_TOKEN: Final = ("", "waitForTaskToken")


def _actions(call: str = "", sync: str = "", token: str = "") -> dict[str, tuple[str, ...]]:
    return {
        **dict.fromkeys(call.split(), _CALL),
        **dict.fromkeys(sync.split(), _SYNC),
        **dict.fromkeys(token.split(), _TOKEN),
    }


PATTERNS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "apigateway": _actions(token="invoke"),
    "athena": _actions("stopQueryExecution getQueryExecution getQueryResults", sync="startQueryExecution"),
    "batch": _actions(sync="submitJob"),
    "bedrock": _actions("invokeModel", sync="createModelCustomizationJob"),
    "codebuild": _actions(
        "stopBuild stopBuildBatch batchDeleteBuilds batchGetReports deleteBuildBatch",
        sync="startBuild startBuildBatch retryBuildBatch",
    ),
    "databrew": _actions(sync="startJobRun"),
    "dynamodb": _actions("getItem putItem deleteItem updateItem"),
    "ecs": {"runTask": ("", "sync", "waitForTaskToken")},
    "eks": {
        **_actions("call", sync="createCluster deleteCluster createFargateProfile deleteFargateProfile"),
        **_actions(sync="createNodegroup deleteNodegroup runJob"),
    },
    "elasticmapreduce": _actions(
        "cancelStep modifyInstanceFleetByName modifyInstanceGroupByName setClusterTerminationProtection",
        sync="addStep createCluster terminateCluster",
    ),
    "emr-containers": _actions("createVirtualCluster", sync="deleteVirtualCluster startJobRun"),
    "emr-serverless": _actions(
        "cancelJobRun",
        sync="createApplication startApplication stopApplication deleteApplication startJobRun",
    ),
    "events": _actions(token="putEvents"),
    "glue": _actions(sync="startJobRun"),
    "http": _actions("invoke"),
    "lambda": _actions(token="invoke"),
    "mediaconvert": _actions(sync="createJob"),
    "sagemaker": _actions(
        "createEndpoint createEndpointConfig createModel updateEndpoint",
        sync="createHyperParameterTuningJob createLabelingJob createProcessingJob createTrainingJob createTransformJob",
    ),
    "sns": _actions(token="publish"),
    "sqs": _actions(token="sendMessage"),
    "states": {"startExecution": ("", "sync", "sync:2", "waitForTaskToken")},
}
