"""Which connector instance holds an account's browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from stoflow.connector.v1 import session_pb2 as rpc

from stoflow_orchestrator.engine.admission import Admission
from stoflow_orchestrator.engine.pool import unavailable_when_unreachable
from stoflow_orchestrator.lifecycle import WaitReason
from stoflow_orchestrator.messages.account import stop_reason_of
from stoflow_orchestrator.repositories import connector as connector_repository
from stoflow_orchestrator.repositories import session as session_repository
from stoflow_orchestrator.services.connectors import connector_not_registered
from stoflow_orchestrator.services.pairings import PairingService, pairing_not_found, token_digest
from stoflow_orchestrator.storable import check_storable
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

SWEEP_SECONDS = 1.0
CODES_SWEEP_SECONDS = 3600.0
# How long a browser that stands by waits before it asks again.
HELD_DELAY = timedelta(seconds=2)
SELLER_IS_BACK = (WaitReason.SELLER_OFFLINE,)
SELLER_RESUMED = (
    WaitReason.SELLER_OFFLINE,
    WaitReason.NEEDS_HUMAN,
    WaitReason.ACCOUNT_RECONNECT_REQUIRED,
)


class SessionService:
    """Grants, extends and ends sessions, and lets the jobs go on that waited for them."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        admission: Admission,
        pairings: PairingService,
        learn_routes: Callable[[dict[str, frozenset[str]]], None],
        clock: Clock,
        lease: timedelta,
    ) -> None:
        self._pool = pool
        self._admission = admission
        self._pairings = pairings
        self._learn_routes = learn_routes
        self._clock = clock
        self._lease = lease

    async def acquire(self, request: rpc.AcquireSessionRequest) -> rpc.AcquireSessionResponse:
        """Grants a session that is free, or the asking browser's own.

        Raises:
            NotFoundError: PAIRING_NOT_FOUND.
            FailedPreconditionError: CONNECTOR_NOT_REGISTERED.
        """
        check_storable(request)
        instance_id, pairing_id = UUID(request.instance_id), UUID(request.pairing_id)
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection, connection.transaction():
                found = await session_repository.find(connection, pairing_id, token_digest(request.token))
                if found is None:
                    raise pairing_not_found(pairing_id)
                cursor = await connector_repository.load_instances(connection, [instance_id])
                if not await connector_repository.read_instances(cursor):
                    raise connector_not_registered(instance_id)
                granted = await session_repository.acquire(
                    connection, instance_id, pairing_id, request.remote_user_id, self._lease
                )
                if granted is None:
                    # Whoever acquired it first a moment ago said whose account it is.
                    digest = token_digest(request.token)
                    found = await session_repository.find(connection, pairing_id, digest) or found
                    return _not_granted(request, found)
                account_id, epoch = granted
                reason = await session_repository.find_stop_reason(connection, account_id)
        await self._wake(account_id, SELLER_IS_BACK)
        response = rpc.AcquireSessionResponse(
            decision=rpc.SESSION_DECISION_GRANTED,
            epoch=epoch,
            stop_reason=stop_reason_of("RECONNECT_REQUIRED", reason),
        )
        response.lease.FromTimedelta(self._lease)
        return response

    async def renew(self, request: rpc.RenewSessionsRequest) -> rpc.RenewSessionsResponse:
        """Extends sessions."""
        sessions = {UUID(session.account_id): session.epoch for session in request.sessions}
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection, connection.transaction():
                held = await session_repository.renew(
                    connection, UUID(request.instance_id), sessions, self._lease
                )
        return rpc.RenewSessionsResponse(
            is_held=[UUID(session.account_id) in held for session in request.sessions]
        )

    async def release(self, request: rpc.ReleaseSessionRequest) -> None:
        """Gives a session back."""
        session = request.session
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection, connection.transaction():
                await session_repository.release(
                    connection, UUID(request.instance_id), UUID(session.account_id), session.epoch
                )

    async def stop(self, request: rpc.StopAccountRequest) -> None:
        """Stops an account until its seller resumes it.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
        """
        await self._pairings.stop(request.tenant_id, UUID(request.account_id), request.reason)

    async def resume(self, request: rpc.ResumeStoppedAccountRequest) -> None:
        """Lets an account go on, and its jobs that waited for that or for a person.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
        """
        account_id = UUID(request.account_id)
        await self._pairings.resume(request.tenant_id, account_id)
        await self._wake(account_id, SELLER_RESUMED)

    async def _wake(self, account_id: UUID, reasons: tuple[WaitReason, ...]) -> None:
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection, connection.transaction():
                woken = await session_repository.wake(connection, account_id, reasons)
        self._admission.stir([], woken)

    async def run(self) -> None:
        """Serves for ever: learns what other orchestrators registered, and finds jobs that began to wait too late."""
        codes_swept_at = -CODES_SWEEP_SECONDS
        while True:
            try:
                await self.tick()
                if self._clock.monotonic() - codes_swept_at >= CODES_SWEEP_SECONDS:
                    codes_swept_at = self._clock.monotonic()
                    async with self._pool.connection() as connection:
                        await session_repository.delete_spent_codes(connection)
            except Exception:
                # Mostly an outage of the database: the next tick tries again.
                log.exception("sessions_tick_failed")
            await self._clock.sleep(SWEEP_SECONDS)

    async def tick(self) -> None:
        """Does what is due."""
        async with self._pool.connection() as connection:
            routes = await session_repository.list_routes(connection)
            returned = await session_repository.find_returned(connection) if routes else []
        self._learn_routes(routes)
        for account_id in returned:
            await self._wake(account_id, SELLER_IS_BACK)
            await asyncio.sleep(0)


def _not_granted(
    request: rpc.AcquireSessionRequest, found: session_repository.Found
) -> rpc.AcquireSessionResponse:
    if found.remote_user_id is not None and found.remote_user_id != request.remote_user_id:
        return rpc.AcquireSessionResponse(decision=rpc.SESSION_DECISION_WRONG_USER)
    response = rpc.AcquireSessionResponse(decision=rpc.SESSION_DECISION_HELD)
    response.retry_delay.FromTimedelta(HELD_DELAY)
    return response
