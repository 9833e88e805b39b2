"""The parts of a running connector, put together; its start and its end."""

import asyncio
import uuid
from collections.abc import Sequence
from functools import partial

import grpc.aio
from stoflow.connector.v1 import connector_service_pb2 as pb
from stoflow.connector.v1.task_pb2 import TaskCommand

from stoflow_connector_sdk.definition import ConnectorDefinition
from stoflow_connector_sdk.runtime.active import ActiveTask, ActiveTasks, Slots
from stoflow_connector_sdk.runtime.calls import CALL_TIMEOUT_SECONDS, OrchestratorClient
from stoflow_connector_sdk.runtime.commands import CommandSource, OpenDoorbell, OpenSource
from stoflow_connector_sdk.runtime.credentials import CredentialBroker
from stoflow_connector_sdk.runtime.executor import Executor
from stoflow_connector_sdk.runtime.heartbeats import Heartbeats
from stoflow_connector_sdk.runtime.listings import ListingReader
from stoflow_connector_sdk.runtime.metrics import ConnectorMetrics
from stoflow_connector_sdk.runtime.registration import Registrar, Registration
from stoflow_connector_sdk.runtime.reporter import Reporter
from stoflow_connector_sdk.runtime.starter import Starter
from stoflow_connector_sdk.sessions import SessionClient
from stoflow_service_kit.background import Background, OnCrash
from stoflow_service_kit.clock import Clock, SystemClock
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

# After an interruption, how long service methods may take to end.
_CANCEL_GRACE_SECONDS = 2.0
# A stopped process loses its leases after one lease, and should not receive commands for much longer.
_MIN_PULL_SECONDS = 1.0
_MAX_PULL_SECONDS = 30.0


class ConnectorRuntime:
    """One connector instance: registers, pulls commands, runs attempts, reports, heartbeats, drains."""

    def __init__(
        self,
        definition: ConnectorDefinition,
        *,
        channel: grpc.aio.Channel,
        orchestrator_address: str,
        open_source: OpenSource,
        background: Background,
        slots: int,
        metrics: ConnectorMetrics,
        clock: Clock | None = None,
        open_doorbell: OpenDoorbell | None = None,
    ) -> None:
        """Prepares a runtime; it does nothing before `start`.

        Args:
            definition: The connector.
            channel: To the orchestrator.
            orchestrator_address: For logs.
            open_source: Opens a command source.
            background: Supervises what runs for as long as the connector.
            slots: How many tasks run at once.
            metrics: What is counted.
            clock: Time.
            open_doorbell: Listens for directives; without it they come with the heartbeats at their interval.
        """
        self.instance_id = str(uuid.uuid4())
        self._gateway = definition.gateway
        self._marketplace = definition.marketplace
        self._clock = clock or SystemClock()
        self._background = background
        self._open_source = open_source
        self._open_doorbell = open_doorbell
        self._metrics = metrics
        self._sources: dict[str, CommandSource] = {}
        self._starting: set[asyncio.Task[None]] = set()
        self._unused_leases: list[pb.TaskLease] = []
        self._is_draining = False
        self._is_retired = False
        self._slots = Slots(slots)
        self._tasks = ActiveTasks()
        self._client = OrchestratorClient(channel, orchestrator_address, self._clock)
        self._registrar = Registrar(self._client, definition, self.instance_id, slots, self._follow)
        self._credentials = CredentialBroker(
            self._client, self.instance_id, definition.token_refresher, self._clock
        )
        self._listings = ListingReader(self._client, self.instance_id)
        self._reporter = Reporter(
            self._client, self.instance_id, metrics, lambda: not (self._is_draining or self._is_retired)
        )
        self._executor = Executor(definition, self._reporter, metrics, self._clock)
        self._heartbeats = Heartbeats(
            self._client,
            self.instance_id,
            self._tasks,
            self._slots,
            self._registrar,
            self._clock,
            self._retire,
        )
        self._starter = Starter(
            self._client,
            self.instance_id,
            self._slots,
            clock=self._clock,
            token_source=self._credentials,
            listing_source=self._listings,
            metrics=metrics,
            register_again=self._registrar.register,
            begin=self._begin,
        )

    @property
    def active_count(self) -> int:
        """How many attempts are between their grant and their answered report."""
        return len(self._tasks)

    async def start(self) -> None:
        """Registers, waiting for the orchestrator, and begins to pull.

        Raises:
            StartError: The orchestrator refuses the manifest.
        """
        registration = await self._registrar.register()
        if self._open_doorbell is not None and registration.directives_subject:
            await self._open_doorbell(registration.directives_subject, self._heartbeats.ask)
        self._background.spawn("heartbeats", self._heartbeats.run, on_crash=OnCrash.STOP_SERVICE)
        if self._gateway is not None:
            await self._gateway.start(
                SessionClient(self._client, self.instance_id, self._marketplace), self._background
            )

    async def drain(self, grace_seconds: float) -> None:
        """Stops pulling, lets attempts end, gives back the rest, and takes the registration away.

        Args:
            grace_seconds: How long attempts may go on.
        """
        self._is_draining = True
        if self._registrar.current is None:
            # Stopped before the orchestrator knew this instance: there is nobody to tell and nothing to end.
            await self._registrar.close()
            return
        self._heartbeats.drain()
        try:
            await self._heartbeats.beat(timeout_seconds=2.0)
        except grpc.aio.AioRpcError as error:
            # Only the news that no tasks are wanted is lost; they would time out and come again.
            log.warning("drain_not_announced", error=error.details())
        await self._stop_sources()
        uncertain = self._starter.give_up()
        if self._gateway is not None:
            self._gateway.begin_drain()
        try:
            async with asyncio.timeout(grace_seconds):
                if self._starting:
                    await asyncio.wait(self._starting)
                await self._tasks.wait_until_empty()
        except TimeoutError:
            log.warning("drain_grace_over", tasks=len(self._tasks))
        self._reporter.give_up()
        await self._interrupt_rest()
        if self._gateway is not None:
            await self._gateway.stop()
        await self._release_and_deregister(uncertain)
        await self._credentials.close()
        await self._registrar.close()

    def _follow(self, registration: Registration) -> None:
        """Pulls from what the orchestrator named last."""
        for name in registration.consumers:
            key = f"{registration.stream}/{name}"
            if key in self._sources or self._is_draining or self._is_retired:
                continue
            expires_seconds = min(max(registration.lease_seconds, _MIN_PULL_SECONDS), _MAX_PULL_SECONDS)
            source = self._open_source(registration.stream, name, self._slots.free, expires_seconds)
            self._sources[key] = source
            self._background.spawn(f"pull {key}", partial(self._pull, source))
        self._slots.listen([source.wake for source in self._sources.values()])

    def _retire(self) -> None:
        """Asks for no more commands; what runs goes on, and the process stays until it is stopped."""
        log.info("retired", tasks=len(self._tasks))
        self._is_retired = True
        self._background.spawn("retire", self._stop_sources)

    async def _stop_sources(self) -> None:
        for source in list(self._sources.values()):
            await source.stop()

    async def _pull(self, source: CommandSource) -> None:
        while messages := await source.next_batch():
            self._slots.take(len(messages))
            # Not awaited: the next commands may come while the leases of these are asked for.
            starting = asyncio.create_task(self._starter.start_all(messages), name="start-tasks")
            self._starting.add(starting)
            starting.add_done_callback(self._started)

    def _started(self, starting: asyncio.Task[None]) -> None:
        self._starting.discard(starting)
        if not starting.cancelled() and (error := starting.exception()) is not None:
            log.error("start_tasks_crashed", exc_info=error)

    def _begin(self, granted: Sequence[ActiveTask], extend_first: bool) -> None:
        self._metrics.running.inc(len(granted))
        for active in granted:
            self._tasks.add(active)
        # One heartbeat for all of them: the wait for a lost answer may have used up most of their leases.
        extending = asyncio.create_task(self._extend()) if extend_first and granted else None
        for active in granted:
            active.runner = asyncio.create_task(self._run(active, extending))

    async def _extend(self) -> None:
        try:
            await self._heartbeats.beat()
        except grpc.aio.AioRpcError as error:
            log.warning("lease_not_extended", error=error.details())

    async def _run(self, active: ActiveTask, extending: asyncio.Task[None] | None) -> None:
        """Runs an attempt, and in the same slot the next tasks of its job that are granted with its reports."""
        current: ActiveTask | None = active
        try:
            while current is not None:
                if extending is not None:
                    await asyncio.wait([extending])
                if self._is_draining:
                    self._unused_leases.append(current.lease_message())
                    return
                done = current
                current, extending = await self._run_one(current)
                self._tasks.replace(done, current)
        finally:
            if current is not None:
                self._tasks.replace(current, None)
            self._metrics.running.dec()
            self._slots.give_back()

    async def _run_one(self, active: ActiveTask) -> tuple[ActiveTask | None, asyncio.Task[None] | None]:
        grant = await self._executor.run(active)
        if grant is None:
            return None, None
        command = TaskCommand(
            tenant_id=active.context.tenant_id, job_id=active.context.job_id, task_id=grant.task_id
        )
        following = ActiveTask.granted(
            command,
            grant,
            sent_at=active.reported_at,
            token_source=self._credentials,
            listing_source=self._listings,
            clock=self._clock,
        )
        following.runner = active.runner
        waited = self._clock.monotonic() - active.reported_at
        # The wait for a lost answer may have used up most of the lease.
        is_late = waited > following.context.lease.duration_seconds / 3
        return following, asyncio.create_task(self._extend()) if is_late else None

    async def _interrupt_rest(self) -> None:
        rest = self._tasks.list()
        for active in rest:
            if active.is_executing:
                # Reports that are on their way are not released: they may have arrived.
                active.is_released = True
                self._unused_leases.append(active.lease_message())
            if active.runner is not None:
                active.runner.cancel()
        runners = [active.runner for active in rest if active.runner is not None]
        if runners:
            await asyncio.wait(runners, timeout=_CANCEL_GRACE_SECONDS)

    async def _release_and_deregister(self, uncertain: Sequence[pb.TaskStart]) -> None:
        """Gives back what was granted and not used, and what may have been granted in an answer that is
        lost.
        """
        leases = self._unused_leases + [
            pb.TaskLease(
                job_id=start.command.job_id, task_id=start.command.task_id, lease_token=start.lease_token
            )
            for start in uncertain
        ]
        request = pb.ReleaseTasksRequest(instance_id=self.instance_id, leases=leases, deregister=True)
        try:
            await self._client.stub.ReleaseTasks(request, timeout=CALL_TIMEOUT_SECONDS / 2)
        except grpc.aio.AioRpcError as error:
            # The leases run out by themselves and the registration expires.
            log.warning("release_failed", leases=len(leases), error=error.details())
        else:
            log.info("deregistered", released=len(leases))
