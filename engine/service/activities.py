"""Activities, and the answers of whoever works on a task from outside."""

from __future__ import annotations

from typing import Any

from engine.core.events import TaskFailed, TaskHeartbeat, TaskStarted, TaskSucceeded
from engine.service import arns
from engine.service.driver import Driver
from engine.service.errors import ApiError, named
from engine.service.json_text import NotJson, read
from engine.service.machines import Params
from engine.service.paging import page
from engine.service.records import Activity, Records, Task
from engine.service.tags import put_tags
from engine.states.moments import moment
from engine.values import dump

DEFAULT_KEY = {"type": "AWS_OWNED_KEY"}


def create_activity(records: Records, params: Params, now: float) -> dict[str, Any]:
    """CreateActivity; one that exists is answered again."""
    name = params["name"]
    arns.check_name(name)
    arn = arns.make(arns.ACTIVITY, name)
    encryption = params.get("encryptionConfiguration", DEFAULT_KEY)
    known = records.activities.get(arn)
    if known is not None and known.encryption != encryption:
        said = "Activity already exists. EncryptionConfiguration may not be updated."
        raise ApiError("ActivityAlreadyExists", said)
    if known is None:
        put_tags(records, arn, params.get("tags", []))
        known = records.activities[arn] = Activity(arn, name, now, encryption)
    return {"activityArn": arn, "creationDate": moment(known.created)}


def describe_activity(records: Records, params: Params) -> dict[str, Any]:
    """DescribeActivity."""
    activity = records.activity(params["activityArn"])
    return {**_facts(activity), "encryptionConfiguration": activity.encryption}


def list_activities(records: Records, params: Params) -> dict[str, Any]:
    """ListActivities, in the order of their names."""
    activities = sorted(records.activities.values(), key=lambda activity: activity.name)
    found, more = page(activities, "ListActivities", params)
    return {"activities": [_facts(activity) for activity in found], **more}


def delete_activity(records: Records, params: Params) -> dict[str, Any]:
    """DeleteActivity; one that does not exist is deleted already."""
    arn = params["activityArn"]
    arns.parse(arn, arns.ACTIVITY)
    records.activities.pop(arn, None)
    records.tags.pop(arn, None)
    return {}


def _facts(activity: Activity) -> dict[str, Any]:
    return {"activityArn": activity.arn, "name": activity.name, "creationDate": moment(activity.created)}


def get_activity_task(records: Records, driver: Driver, params: Params, patience: float) -> dict[str, Any]:
    """GetActivityTask: the oldest work there is, waiting `patience` seconds for it; `{}` when none comes."""
    activity = records.activity(params["activityArn"])
    if not activity.tasks:
        records.changed.wait_for(lambda: bool(activity.tasks), timeout=patience)
    while activity.tasks:
        task = activity.tasks.popleft()
        if task.open:
            task.worker, task.started = params.get("workerName"), driver.clock.now()
            driver.feed(task.run, TaskStarted(task.inner, task.started), task.worker)
            return {"taskToken": task.token, "input": dump(task.arguments)}
    return {}


def send_task_success(records: Records, driver: Driver, params: Params) -> dict[str, Any]:
    """SendTaskSuccess."""
    task = _task(records, params)
    try:
        output = read(params["output"])
    except NotJson as wrong:
        raise named("InvalidOutput", "Invalid Output", wrong.message) from None
    driver.feed(task.run, TaskSucceeded(task.inner, output, driver.clock.now(), task.started), task.worker)
    return {}


def send_task_failure(records: Records, driver: Driver, params: Params) -> dict[str, Any]:
    """SendTaskFailure."""
    task = _task(records, params)
    error, cause = params.get("error"), params.get("cause")
    driver.feed(task.run, TaskFailed(task.inner, error, cause, driver.clock.now(), task.started), task.worker)
    return {}


def send_task_heartbeat(records: Records, driver: Driver, params: Params) -> dict[str, Any]:
    """SendTaskHeartbeat."""
    task = _task(records, params)
    driver.feed(task.run, TaskHeartbeat(task.inner, driver.clock.now()))
    return {}


def _task(records: Records, params: Params) -> Task:
    """The task of a token. Raises InvalidToken, and TaskTimedOut when nothing waits for it any more."""
    tasks = records.tasks.get(params["taskToken"])
    if tasks is None:
        raise named("InvalidToken", "Invalid Token", "Invalid token")
    for task in tasks:
        if task.open:
            return task
    raise named("TaskTimedOut", "Task Timed Out", "Provided task does not exist anymore")
