"""Calls to the orchestrator, repeated until it answers."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import grpc
import grpc.aio
from stoflow.connector.v1 import connector_service_pb2 as pb
from stoflow.connector.v1.connector_service_pb2_grpc import ConnectorServiceStub

from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.grpc_status import RichError, rich_error
from stoflow_service_kit.logs import get_logger

if TYPE_CHECKING:
    # Exists only in the stub file.
    from stoflow.connector.v1.connector_service_pb2_grpc import ConnectorServiceAsyncStub

log = get_logger(__name__)

R = TypeVar("R")

CALL_TIMEOUT_SECONDS = 10.0
# Waiting cures these, however long it takes.
_TRANSIENT = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
    }
)
# A fault at the other side may be this very request's: after some tries the caller must think of something
# else.
_FAULTS = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN})
_FAULT_TRIES = 4


class CallError(Exception):
    """The orchestrator refused a call, or was given up.

    Attributes:
        status: Its answer.
    """

    def __init__(self, name: str, status: RichError) -> None:
        super().__init__(f"{name}: {status.code.name} {status.reason} {status.message}".strip())
        self.status = status


def _is_transient(status: RichError) -> bool:
    if status.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        # gRPC itself says so of an answer that is too large, and gives no reason: a smaller group helps.
        return status.reason == "OVERLOADED"
    return status.code in _TRANSIENT


class OrchestratorClient:
    """The ConnectorService, seen from one connector instance."""

    def __init__(self, channel: grpc.aio.Channel, address: str, clock: Clock) -> None:
        """Wraps a channel.

        Args:
            channel: To the orchestrator.
            address: Where it is, for logs.
            clock: What waits between tries.
        """
        self.stub: ConnectorServiceAsyncStub = ConnectorServiceStub(channel)
        self._address = address
        self._clock = clock
        self._backoff = Backoff(initial_seconds=0.1, maximum_seconds=3.0)

    async def until_answered(
        self,
        name: str,
        call: Callable[[], Awaitable[R]],
        *,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> R:
        """Repeats a call while the orchestrator is away; every call of the contract is safe to repeat.

        Args:
            name: The method, for logs and errors.
            call: One try, bounded in time.
            may_go_on: Asked after each failed try; false gives up.

        Raises:
            CallError: It answered and refused, or was given up.
        """
        failures = 0
        while True:
            try:
                answer = await call()
            except grpc.aio.AioRpcError as error:
                status = rich_error(error)
                failures += 1
                lasting = not _is_transient(status)
                if lasting and (status.code not in _FAULTS or failures >= _FAULT_TRIES):
                    raise CallError(name, status) from error
                if not may_go_on():
                    raise CallError(name, status) from error
                delay = max(self._backoff.delay_seconds(failures), status.retry_after_seconds or 0.0)
                log.warning(
                    "orchestrator_unreachable",
                    call=name,
                    address=self._address,
                    code=status.code.name,
                    error=status.message,
                    failures=failures,
                    retry_in_seconds=round(delay, 2),
                )
                await self._clock.sleep(delay)
            else:
                if failures:
                    log.info("orchestrator_answers", call=name, address=self._address, failures=failures)
                return answer

    async def start_tasks(self, request: pb.StartTasksRequest) -> pb.StartTasksResponse:
        """Asks for leases, once."""
        return await self.stub.StartTasks(request, timeout=CALL_TIMEOUT_SECONDS)

    async def report_tasks(self, request: pb.ReportTasksRequest) -> pb.ReportTasksResponse:
        """Hands in results, once."""
        return await self.stub.ReportTasks(request, timeout=CALL_TIMEOUT_SECONDS)

    async def heartbeat_tasks(
        self, request: pb.HeartbeatTasksRequest, timeout_seconds: float
    ) -> pb.HeartbeatTasksResponse:
        """Extends leases, once."""
        return await self.stub.HeartbeatTasks(request, timeout=timeout_seconds)
