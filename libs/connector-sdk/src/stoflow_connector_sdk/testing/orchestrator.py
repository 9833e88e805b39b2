"""An orchestrator in memory behind a real gRPC server: for tests of the SDK and of connectors, and nothing else."""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Self

from prometheus_client import CollectorRegistry
from stoflow.connector.v1 import manifest_pb2, task_pb2
from stoflow.connector.v1.connector_service_pb2_grpc import add_ConnectorServiceServicer_to_server

from stoflow_connector_sdk.runtime.commands import CommandSource
from stoflow_connector_sdk.testing.commands import MemoryQueue
from stoflow_connector_sdk.testing.ledger import JobRecord, Ledger, TaskRecord
from stoflow_connector_sdk.testing.servicer import Fault, MemoryConnectorServicer, unavailable
from stoflow_connector_sdk.testing.vault import AccountTokens, PendingAuthorization, TokenVault
from stoflow_service_kit.errors import ServiceError
from stoflow_service_kit.grpc_server import GrpcServer

_WAIT_SECONDS = 20.0


class InMemoryOrchestrator:
    """Keeps the contract's rules for tokens, leases, effects and credentials; durable only while it lives.

    Leases end only when a test says so (`take_lease_away`), as only the real reaper would. Retries are
    dispatched at once.

    Attributes:
        ledger: Jobs and effects.
        vault: Accounts' tokens.
        servicer: Calls received.
        queue: Commands of the one consumer.
        address: `host:port`, the same after a restart.
    """

    def __init__(
        self,
        *,
        lease_seconds: float = 5.0,
        heartbeat_seconds: float = 0.5,
        publish: Callable[[task_pb2.TaskCommand], None] | None = None,
    ) -> None:
        """Prepares a double.

        Args:
            lease_seconds: How long a lease holds.
            heartbeat_seconds: How often connectors are to call.
            publish: Takes commands in place of `queue`, such as a publisher to a real broker.
        """
        self.queue = MemoryQueue()
        self.ledger = Ledger(
            time.monotonic,
            lease_seconds,
            publish or (lambda command: self.queue.put(command.SerializeToString())),
        )
        self.vault = TokenVault(time.time)
        self.servicer = MemoryConnectorServicer(self.ledger, self.vault, heartbeat_seconds, ("default",))
        self.ledger.on_change = self.servicer.changed.set
        self.address = "127.0.0.1:0"
        self._server: GrpcServer | None = None
        self._doorbells: list[Callable[[], None]] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Serves, after a stop at the same address."""
        server = GrpcServer(self.address, CollectorRegistry())
        server.add(add_ConnectorServiceServicer_to_server, self.servicer)
        self.address = await server.start()
        server.set_serving()
        self._server = server

    async def stop(self) -> None:
        """Goes away without a word; what it knows stays."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.drain(0)

    def open_source(
        self, _stream: str, _consumer: str, free_slots: Callable[[], int], _expires_seconds: float
    ) -> CommandSource:
        """Opens the one consumer, for a runtime."""
        return self.queue.open(free_slots)

    def add_account(
        self, account_id: str, *, access_token: str, refresh_token: str, expires_in_seconds: float
    ) -> AccountTokens:
        """Stores an account's tokens."""
        tokens = AccountTokens(access_token, refresh_token, time.time() + expires_in_seconds)
        self.vault.accounts[account_id] = tokens
        return tokens

    def add_authorization(
        self,
        account_id: str,
        *,
        code: str,
        redirect_uri: str = "https://app.test/connected",
        code_verifier: str = "",
    ) -> PendingAuthorization:
        """Stores a code, as CompleteConnect does; a job with the action "connect" exchanges it."""
        pending = PendingAuthorization(code, redirect_uri, code_verifier, str(uuid.uuid4()))
        self.vault.authorizations[account_id] = pending
        return pending

    def submit(
        self,
        manifest: manifest_pb2.Manifest,
        action: str,
        *,
        tenant_id: int = 1,
        account_id: str | None = None,
        site: str = "",
        options: Mapping[str, Any] | None = None,
        account_settings: Mapping[str, Any] | None = None,
        product: task_pb2.ProductSnapshot | None = None,
        max_retries: int = 3,
    ) -> JobRecord:
        """Creates a job and dispatches its first step.

        Raises:
            LookupError: The manifest has no such action.
        """
        found = {spec.name: spec for spec in manifest.actions}[action]
        job = JobRecord(
            job_id=str(uuid.uuid4()),
            tenant_id=tenant_id,
            account_id=account_id or str(uuid.uuid4()),
            action=action,
            site=site,
            options=options or {},
            account_settings=account_settings or {},
            product=product,
            max_retries=max_retries,
        )
        self.ledger.add(job, found)
        return job

    def fail_next(
        self, method: str, *, times: int = 1, after: bool = False, error: ServiceError | None = None
    ) -> None:
        """Lets the next calls of a method fail.

        Args:
            method: Such as "StartTasks".
            times: How many.
            after: True: the call takes effect and only its answer is lost.
            error: What the caller sees; UNAVAILABLE by default.
        """
        for _ in range(times):
            self.servicer.fail_next(method, Fault(error or unavailable(), after))

    def take_lease_away(self, task: TaskRecord) -> None:
        """Ends a lease and dispatches the step again, as the reaper does."""
        self.ledger.take_lease_away(task)

    async def open_doorbell(self, _subject: str, ring: Callable[[], None]) -> None:
        """Takes a connector's doorbell, to ring it when a directive waits."""
        self._doorbells.append(ring)

    def cancel(self, job: JobRecord) -> None:
        """Cancels a job: its running step is told with a heartbeat that comes at once."""
        job.state = "CANCELLED"
        self._ring()

    def pause(self, job: JobRecord) -> None:
        """Pauses a job: its running step is told with a heartbeat that comes at once."""
        job.state = "PAUSED"
        self._ring()

    def _ring(self) -> None:
        for ring in self._doorbells:
            ring()

    def resume(self, job: JobRecord) -> None:
        """Lets a waiting or paused job go on."""
        job.state = "RUNNING"
        self.ledger.dispatch_next(job)

    def forget_connectors(self) -> None:
        """Forgets every registration."""
        self.servicer.registered.clear()

    async def wait_until(self, condition: Callable[[], bool], timeout_seconds: float = _WAIT_SECONDS) -> None:
        """Waits for something that a call of a connector brings about.

        Raises:
            TimeoutError: It did not happen.
        """
        async with asyncio.timeout(timeout_seconds):
            while not condition():
                self.servicer.changed.clear()
                try:
                    async with asyncio.timeout(0.02):
                        await self.servicer.changed.wait()
                except TimeoutError:
                    # Not every condition is stirred by a call: look again.
                    continue

    async def wait_for(self, job: JobRecord, timeout_seconds: float = _WAIT_SECONDS) -> JobRecord:
        """Waits until a job ended or waits.

        Raises:
            TimeoutError: It still runs.
        """
        await self.wait_until(lambda: job.state != "RUNNING", timeout_seconds)
        return job
