"""Errors of the API, with AWS's codes and words.

Source: AWS Step Functions API Reference, "Errors" of each action; wording as recorded on AWS.
"""

from __future__ import annotations


class ApiError(Exception):
    """An operation was refused. `.code` is AWS's error code, `.message` AWS's words, as far as they are known."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def invalid(message: str) -> ApiError:
    """A request that breaks a rule which has no error code of its own."""
    return ApiError("ValidationException", message)


def named(code: str, subject: str, what: str) -> ApiError:
    """An error in the form `Subject: 'what'`, which most of them have."""
    return ApiError(code, f"{subject}: '{what}'")


def invalid_arn(why: str) -> ApiError:
    """A text that is no ARN, or the ARN of something else."""
    return named("InvalidArn", "Invalid Arn", why)


def no_machine(arn: str) -> ApiError:
    """There is no state machine with that ARN."""
    return named("StateMachineDoesNotExist", "State Machine Does Not Exist", arn)


def no_execution(arn: str) -> ApiError:
    """There is no execution with that ARN."""
    return named("ExecutionDoesNotExist", "Execution Does Not Exist", arn)


def no_activity(arn: str) -> ApiError:
    """There is no activity with that ARN."""
    return named("ActivityDoesNotExist", "Activity Does Not Exist", arn)


def no_map_run(arn: str) -> ApiError:
    """There is no map run with that ARN."""
    return named("ResourceNotFound", "Resource not found", arn)


def unsupported_type() -> ApiError:
    """The operation does not go with the type of the state machine (STANDARD, EXPRESS)."""
    return ApiError("StateMachineTypeNotSupported", "This operation is not supported by this type of state machine")


def no_resource() -> ApiError:
    """A version or an alias that does not exist."""
    return ApiError("ResourceNotFound", "Request references a resource that does not exist.")
