"""Results out: in groups, below the size of a message, until they are answered."""

import uuid
from collections.abc import Callable, Iterator, Sequence

import grpc
from stoflow.connector.v1 import connector_service_pb2 as pb
from stoflow.connector.v1.task_pb2 import TaskReport

from stoflow_connector_sdk.errors import EffectOutcome, RetryableError
from stoflow_connector_sdk.runtime.active import ActiveTask
from stoflow_connector_sdk.runtime.calls import CallError, OrchestratorClient
from stoflow_connector_sdk.runtime.conversion import failure_report
from stoflow_connector_sdk.runtime.metrics import ConnectorMetrics
from stoflow_service_kit.batching import Batcher
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

MAX_GROUP = 100
# Below the 1 MiB that the contract allows, with room for the request around the reports.
MAX_REQUEST_BYTES = 1_000_000


class Reporter:
    """Delivers reports; a report is given up only when the orchestrator refuses it."""

    def __init__(
        self,
        client: OrchestratorClient,
        instance_id: str,
        metrics: ConnectorMetrics,
        wants_next: Callable[[], bool],
    ) -> None:
        """Prepares a reporter.

        Args:
            client: To the orchestrator.
            instance_id: Of this process.
            metrics: What is counted.
            wants_next: Whether this process goes on with the next task of a job whose task it has done.
        """
        self._client = client
        self._wants_next = wants_next
        self._instance_id = instance_id
        self._metrics = metrics
        self._closing = False
        self._batcher: Batcher[TaskReport, pb.TaskReportResult] = Batcher(
            "ReportTasks",
            self._flush,
            max_group=MAX_GROUP,
            workers=2,
            max_waiting=100_000,
            should_bisect=_is_refusal,
        )

    def give_up(self) -> None:
        """Stops repeating reports that are not answered."""
        self._closing = True

    async def deliver(self, active: ActiveTask, report: TaskReport) -> pb.TaskStartResult | None:
        """Reports until answered, also after the lease ran out: the remote id in a stale report is still of
        use.

        Returns:
            The grant of the job's next task, when the orchestrator lets this process go on with it.
        """
        if report.HasField("success") and self._wants_next():
            report.next_lease_token = str(uuid.uuid4())
        result = await self._send(report)
        if result is not None and result.decision == pb.REPORT_DECISION_INVALID:
            log.error("report_invalid", task_id=report.task_id, error=result.message)
            result = await self._send(_substitute(active, result.message))
        if result is None:
            return None
        for tell in active.context.state.on_reported:
            tell()
        decision = pb.ReportDecision.Name(result.decision).removeprefix("REPORT_DECISION_")
        self._metrics.reports.labels(decision).inc()
        if result.decision != pb.REPORT_DECISION_ACCEPTED:
            log.warning(
                "report_not_accepted", task_id=report.task_id, decision=decision, error=result.message
            )
        return result.next if result.HasField("next") else None

    async def _send(self, report: TaskReport) -> pb.TaskReportResult | None:
        try:
            return await self._batcher.submit(report)
        except CallError as error:
            # Refused for good, or given up at the end of a drain: the lease runs out and the reaper decides.
            log.error("report_lost", task_id=report.task_id, error=str(error))  # noqa: TRY400
            return None

    async def _flush(self, group: Sequence[TaskReport]) -> Sequence[pb.TaskReportResult | Exception]:
        results: list[pb.TaskReportResult | Exception] = []
        for part in split_by_size(group, MAX_REQUEST_BYTES):
            request = pb.ReportTasksRequest(instance_id=self._instance_id, reports=part)
            try:
                answer = await self._client.until_answered(
                    "ReportTasks",
                    lambda request=request: self._client.report_tasks(request),  # type: ignore[misc]
                    may_go_on=lambda: not self._closing,
                )
            except CallError as error:
                if len(group) == 1 or not _is_refusal(error):
                    results += [error] * len(part)
                    continue
                # Reporting twice is harmless, so the whole group may be tried again in halves.
                raise
            results += answer.results
        return results


def split_by_size(reports: Sequence[TaskReport], limit: int) -> Iterator[list[TaskReport]]:
    """Yields the reports in order, in parts whose size stays below the limit; a part holds at least one."""
    part: list[TaskReport] = []
    size = 0
    for report in reports:
        # The tag and the length in front of each report take at most eight bytes.
        report_size = report.ByteSize() + 8
        if part and size + report_size > limit:
            yield part
            part, size = [], 0
        part.append(report)
        size += report_size
    if part:
        yield part


def _substitute(active: ActiveTask, message: str) -> TaskReport:
    return failure_report(
        active.context,
        RetryableError(
            f"The connector's report was refused: {message}",
            effect=EffectOutcome.UNKNOWN,
            code="REPORT_INVALID",
        ),
    )


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, CallError) and error.status.code in {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
