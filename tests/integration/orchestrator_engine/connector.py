"""A connector whose every step a test decides."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import nats
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from nats.aio.client import Client
from nats.js.client import JetStreamContext
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import manifest_pb2, task_pb2
from stoflow.jobs.v1 import job_pb2

from tests.support.orchestrator import Stubs


def step(
    name: str,
    *,
    once: str = "",
    settle_seconds: float = 0.3,
    timeout_seconds: float = 30,
    start_timeout_seconds: float | None = None,
    follow_up: bool = False,
) -> manifest_pb2.TaskSpec:
    spec = manifest_pb2.TaskSpec(name=name, follow_up=follow_up)
    if start_timeout_seconds is not None:
        spec.schedule_to_start_timeout.FromNanoseconds(int(start_timeout_seconds * 1e9))
    spec.start_to_close_timeout.FromNanoseconds(int(timeout_seconds * 1e9))
    if once:
        spec.once.name = once
        spec.once.settle.FromNanoseconds(int(settle_seconds * 1e9))
    return spec


def manifest(marketplace: str, *steps: manifest_pb2.TaskSpec, **action: Any) -> manifest_pb2.Manifest:
    values: dict[str, Any] = {
        "name": "publish",
        "default_priority": job_pb2.PRIORITY_NORMAL,
        "default_max_retries": 3,
        "expire_after": Duration(seconds=600),
        "tasks": steps or (step("first"), step("second")),
        **action,
    }
    return manifest_pb2.Manifest(
        marketplace=marketplace,
        version="1",
        display_name="Test market",
        actions=[manifest_pb2.ActionSpec(**values)],
    )


@dataclass
class Connector:
    """Registers, receives commands, and says what it is told to say."""

    stubs: Stubs
    nats_url: str
    manifest: manifest_pb2.Manifest
    slots: int = 4
    supported_versions: tuple[str, ...] = ()
    instance_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    _client: Client | None = None
    _subscription: JetStreamContext.PullSubscription | None = None

    async def register(self) -> rpc.RegisterConnectorResponse:
        request = rpc.RegisterConnectorRequest(
            instance_id=self.instance_id,
            manifest=self.manifest,
            slots=self.slots,
            supported_versions=self.supported_versions,
        )
        response = await self.stubs.connector.RegisterConnector(request)
        if self._client is None:
            self._client = await nats.connect(self.nats_url)
            self._subscription = await self._client.jetstream().pull_subscribe_bind(
                consumer=response.consumers[0], stream=response.stream
            )
        return response

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def receive(self, timeout_seconds: float = 8) -> task_pb2.TaskCommand:
        """Takes the next command and acknowledges it."""
        assert self._subscription is not None
        (message,) = await self._subscription.fetch(1, timeout=timeout_seconds)
        await message.ack()
        return task_pb2.TaskCommand.FromString(message.data)

    async def start(self, command: task_pb2.TaskCommand, token: str = "") -> rpc.TaskStartResult:
        start = rpc.TaskStart(command=command, lease_token=token or str(uuid.uuid4()))
        request = rpc.StartTasksRequest(instance_id=self.instance_id, starts=[start])
        return (await self.stubs.connector.StartTasks(request)).results[0]

    async def receive_and_start(self) -> tuple[task_pb2.TaskCommand, rpc.TaskStartResult]:
        command = await self.receive()
        return command, await self.start(command)

    async def heartbeat(self, *held: tuple[task_pb2.TaskCommand, str]) -> rpc.HeartbeatTasksResponse:
        leases = [rpc.TaskLease(job_id=c.job_id, task_id=c.task_id, lease_token=t) for c, t in held]
        request = rpc.HeartbeatTasksRequest(instance_id=self.instance_id, slots=self.slots, leases=leases)
        return await self.stubs.connector.HeartbeatTasks(request)

    async def release(self, command: task_pb2.TaskCommand, token: str) -> None:
        lease = rpc.TaskLease(job_id=command.job_id, task_id=command.task_id, lease_token=token)
        await self.stubs.connector.ReleaseTasks(
            rpc.ReleaseTasksRequest(instance_id=self.instance_id, leases=[lease])
        )

    async def report(self, report: task_pb2.TaskReport) -> rpc.TaskReportResult:
        request = rpc.ReportTasksRequest(instance_id=self.instance_id, reports=[report])
        return (await self.stubs.connector.ReportTasks(request)).results[0]

    async def succeed(
        self,
        command: task_pb2.TaskCommand,
        token: str,
        output: dict[str, Any] | None = None,
        remote_id: str = "",
        listing: task_pb2.ListingChange | None = None,
    ) -> int:
        success = task_pb2.TaskSuccess(remote_id=remote_id, listing=listing)
        if output:
            json_format.Parse(json.dumps(output), success.output)
        return (await self.report(_report(command, token, success=success))).decision

    async def succeed_and_go_on(
        self,
        command: task_pb2.TaskCommand,
        token: str,
        next_token: str,
        output: dict[str, Any] | None = None,
        remote_id: str = "",
    ) -> rpc.TaskReportResult:
        """Reports success and asks for the lease on the job's next task in the same step."""
        success = task_pb2.TaskSuccess(remote_id=remote_id)
        if output:
            json_format.Parse(json.dumps(output), success.output)
        report = _report(command, token, success=success)
        report.next_lease_token = next_token
        return await self.report(report)

    async def append(
        self, command: task_pb2.TaskCommand, token: str, *follow_ups: task_pb2.FollowUpTask
    ) -> rpc.TaskReportResult:
        success = task_pb2.TaskSuccess(follow_ups=follow_ups)
        return await self.report(_report(command, token, success=success))

    async def fail(
        self,
        command: task_pb2.TaskCommand,
        token: str,
        error_class: failure_pb2.ErrorClass.ValueType = failure_pb2.ERROR_CLASS_RETRYABLE,
        outcome: failure_pb2.EffectOutcome.ValueType = failure_pb2.EFFECT_OUTCOME_UNKNOWN,
        retry_after_seconds: float | None = None,
    ) -> int:
        failure = failure_pb2.Failure(
            error_class=error_class,
            effect_outcome=outcome,
            message="It went wrong.",
            code="E1",
            http_status=500,
        )
        if retry_after_seconds is not None:
            failure.retry_after.FromNanoseconds(int(retry_after_seconds * 1e9))
        return (await self.report(_report(command, token, failure=failure))).decision


def _report(command: task_pb2.TaskCommand, token: str, **outcome: Any) -> task_pb2.TaskReport:
    return task_pb2.TaskReport(
        tenant_id=command.tenant_id,
        job_id=command.job_id,
        task_id=command.task_id,
        lease_token=token,
        **outcome,
    )
