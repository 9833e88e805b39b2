"""Signs of life: leases extended in one call, directives passed on."""

import asyncio
from collections.abc import Callable

import grpc.aio
from stoflow.connector.v1 import connector_service_pb2 as pb

from stoflow_connector_sdk.runtime.active import ActiveTask, ActiveTasks, Slots
from stoflow_connector_sdk.runtime.calls import CALL_TIMEOUT_SECONDS, OrchestratorClient
from stoflow_connector_sdk.runtime.registration import Registrar
from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.grpc_status import rich_error
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

# The contract's bound of one call.
MAX_LEASES = 10_000


class Heartbeats:
    """Keeps the leases of all running attempts, and the registration of an idle connector."""

    def __init__(
        self,
        client: OrchestratorClient,
        instance_id: str,
        tasks: ActiveTasks,
        slots: Slots,
        registrar: Registrar,
        clock: Clock,
        retire: Callable[[], None],
    ) -> None:
        """Prepares them.

        Args:
            client: To the orchestrator.
            instance_id: Of this process.
            tasks: Attempts whose leases are extended.
            slots: How many tasks run at once.
            registrar: Registers again when the orchestrator asks for it.
            clock: Time.
            retire: Stops asking for commands: an operator takes this process out of service.
        """
        self._client = client
        self._instance_id = instance_id
        self._tasks = tasks
        self._slots = slots
        self._registrar = registrar
        self._clock = clock
        self._retire = retire
        self._backoff = Backoff(initial_seconds=0.1, maximum_seconds=2.0)
        self._is_draining = False
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Makes the next heartbeat come at once: a directive waits."""
        self._asked.set()

    def drain(self) -> None:
        """Tells from now on that no more tasks are wanted."""
        self._is_draining = True

    async def run(self) -> None:
        """Beats for ever."""
        failures = 0
        while True:
            registration = self._registrar.current
            interval = registration.heartbeat_interval_seconds if registration is not None else 1.0
            started = self._clock.monotonic()
            # Before the call: what is asked for while it is on its way may have been decided after it.
            self._asked.clear()
            try:
                # An answer that takes longer than the time between two is of no use to the leases.
                must_register = await self.beat(min(max(interval, 0.5), CALL_TIMEOUT_SECONDS))
            except grpc.aio.AioRpcError as error:
                failures += 1
                status = rich_error(error)
                delay = min(self._backoff.delay_seconds(failures), interval)
                log.warning(
                    "heartbeat_failed", code=status.code.name, error=status.message, failures=failures
                )
                await self._clock.sleep(delay)
                continue
            failures = 0
            if must_register and not self._is_draining:
                await self._registrar.register()
            await self._rest(interval - (self._clock.monotonic() - started))

    async def _rest(self, seconds: float) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait((sleeping, asked), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            asked.cancel()

    async def beat(self, timeout_seconds: float = CALL_TIMEOUT_SECONDS) -> bool:
        """Extends all leases once.

        Returns:
            Whether the orchestrator wants this instance to register again.

        Raises:
            grpc.aio.AioRpcError: It did not answer.
        """
        must_register = False
        tasks = [active for active in self._tasks.list() if not active.is_released]
        for begin in range(0, max(len(tasks), 1), MAX_LEASES):
            part = tasks[begin : begin + MAX_LEASES]
            request = pb.HeartbeatTasksRequest(
                instance_id=self._instance_id,
                slots=0 if self._is_draining else self._slots.size,
                leases=[active.lease_message() for active in part],
            )
            sent_at = self._clock.monotonic()
            answer = await self._client.heartbeat_tasks(request, timeout_seconds)
            must_register |= answer.must_register
            if answer.must_drain and not self._is_draining:
                self.drain()
                self._retire()
            for active, result in zip(part, answer.results, strict=True):
                _apply(active, result.directive, sent_at)
        return must_register


def _apply(active: ActiveTask, directive: pb.TaskDirective.ValueType, sent_at: float) -> None:
    context = active.context
    if directive == pb.TASK_DIRECTIVE_CONTINUE:
        context.lease.extend(sent_at)
    elif directive == pb.TASK_DIRECTIVE_CANCEL:
        # Not extended: a job that ended keeps its leases only until they run out.
        context.state.request_stop("the job was cancelled")
    elif directive == pb.TASK_DIRECTIVE_PAUSE:
        context.state.request_stop("the job was paused")
    elif directive == pb.TASK_DIRECTIVE_LEASE_LOST:
        # Also the answer for an attempt whose report was accepted while this call was on its way.
        context.lease.lose()
        if active.is_executing:
            log.warning("lease_lost", job_id=context.job_id, task_id=context.task_id)
            active.cancel_execution()
