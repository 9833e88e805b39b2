"""What a caller narrows jobs by: message to filter."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from stoflow.jobs.v1 import job_service_pb2
from stoflow.jobs.v1.job_pb2 import JobState, WaitReason

from stoflow_orchestrator import lifecycle
from stoflow_orchestrator.messages.times import to_datetime
from stoflow_orchestrator.repositories.job_filter import JobFilter
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError


def job_filter(message: job_service_pb2.JobFilter) -> JobFilter:
    """Reads what a caller narrows by.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, with every time that cannot be meant.
    """
    times: dict[str, datetime] = {}
    violations: list[FieldViolation] = []
    for name in ("create_time_from", "create_time_to"):
        if message.HasField(name):
            try:
                times[name] = to_datetime(getattr(message, name))
            except ValueError:
                violations.append(
                    FieldViolation(f"filter.{name}", "must be a time of the years 1970 to 9000")
                )
    if violations:
        raise InvalidArgumentError(violations)
    return JobFilter(
        states=[
            lifecycle.JobState(JobState.Name(state).removeprefix("JOB_STATE_")) for state in message.states
        ],
        marketplace=message.marketplace,
        action=message.action,
        account_id=_uuid_or_none(message.account_id),
        product_id=_uuid_or_none(message.product_id),
        batch_id=_uuid_or_none(message.batch_id),
        wait_reason=WaitReason.Name(message.wait_reason).removeprefix("WAIT_REASON_")
        if message.wait_reason
        else "",
        create_time_from=times.get("create_time_from"),
        create_time_to=times.get("create_time_to"),
    )


def _uuid_or_none(text: str) -> UUID | None:
    return UUID(text) if text else None
