"""What is said to connectors' service and what it answers, as the reference says it."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import task_pb2

from tests.model.engine.calls import EffectGrant, Grant
from tests.model.engine.rows import Bell, Outcome


class Lease(NamedTuple):
    """A token that was granted once, for the task of a command."""

    bell: Bell
    token: UUID
    instance: UUID


def lease_message(lease: Lease) -> rpc.TaskLease:
    return rpc.TaskLease(
        job_id=str(lease.bell.job), task_id=str(lease.bell.task), lease_token=str(lease.token)
    )


def start_request(bell: Bell, tenant: int, instance_id: UUID, token: UUID) -> rpc.StartTasksRequest:
    command = task_pb2.TaskCommand(
        tenant_id=tenant, job_id=str(bell.job), task_id=str(bell.task), dispatch=bell.number
    )
    start = rpc.TaskStart(command=command, lease_token=str(token))
    return rpc.StartTasksRequest(instance_id=str(instance_id), starts=[start])


def report_request(
    lease: Lease, tenant: int, outcome: Outcome, next_token: UUID | None
) -> rpc.ReportTasksRequest:
    report = task_pb2.TaskReport(
        tenant_id=tenant,
        job_id=str(lease.bell.job),
        task_id=str(lease.bell.task),
        lease_token=str(lease.token),
        next_lease_token="" if next_token is None else str(next_token),
        **_outcome(outcome),
    )
    return rpc.ReportTasksRequest(instance_id=str(lease.instance), reports=[report])


def read_start(result: rpc.TaskStartResult) -> Grant | str:
    if result.decision != rpc.START_DECISION_GRANTED:
        return rpc.StartDecision.Name(result.decision).removeprefix("START_DECISION_")
    assignment, effect = result.assignment, None
    if assignment.HasField("effect"):
        granted = assignment.effect
        effect = EffectGrant(
            task_pb2.EffectMode.Name(granted.mode).removeprefix("EFFECT_MODE_"),
            granted.generation,
            granted.remote_id,
            granted.settle_remaining.seconds,
        )
    outputs = tuple((o.name, _read_output(o)) for o in assignment.outputs)
    return Grant(assignment.name, assignment.attempt, outputs, effect)


def read_report(result: rpc.TaskReportResult) -> tuple[str, Grant | str | None]:
    decision = rpc.ReportDecision.Name(result.decision).removeprefix("REPORT_DECISION_")
    return decision, read_start(result.next) if result.HasField("next") else None


def _read_output(output: task_pb2.TaskOutput) -> str | None:
    return str(output.output["v"]) if "v" in output.output.fields else None


def _outcome(outcome: Outcome) -> dict[str, Any]:
    if outcome.error_class is None:
        success = task_pb2.TaskSuccess(remote_id=outcome.remote_id)
        if outcome.output is not None:
            success.output.update({"v": outcome.output})
        return {"success": success}
    failure = failure_pb2.Failure(
        error_class=failure_pb2.ErrorClass.Value(f"ERROR_CLASS_{outcome.error_class}"),
        effect_outcome=failure_pb2.EffectOutcome.Value(f"EFFECT_OUTCOME_{outcome.effect}"),
        code=f"CODE_{outcome.error_class}",
    )
    if outcome.retry_after is not None:
        failure.retry_after.FromSeconds(outcome.retry_after)
    return {"failure": failure}
