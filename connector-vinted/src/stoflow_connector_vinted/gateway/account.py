"""The browsers of one account at this instance: one performs its commands, the others stand by."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from stoflow_connector_sdk.sessions import (
    OrchestratorAwayError,
    PairingRefusedError,
    SessionClient,
    SessionGrant,
)
from stoflow_connector_vinted.gateway.connection import BrowserConnection
from stoflow_connector_vinted.gateway.messages import STOPS, Message
from stoflow_connector_vinted.gateway.requests import AccountRequests, Answer
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

RETRY_SECONDS = 1.0


class AccountBrowsers:
    """Elects one browser, carries commands to it, and stops the account when the site refuses it."""

    def __init__(
        self, sessions: SessionClient, tenant_id: int, account_id: str, on_elect: Callable[[], None]
    ):
        self.account_id = account_id
        self.epoch = 0
        self.lease_seconds = 0.0
        self.requests = AccountRequests()
        self._sessions = sessions
        self._tenant_id = tenant_id
        self._on_elect = on_elect
        self._connections: list[BrowserConnection] = []
        self._active: BrowserConnection | None = None
        self._election = asyncio.Lock()
        self._turn = asyncio.Lock()
        self._retry: asyncio.TimerHandle | None = None
        self._next_begin = 0.0
        self._reasons: dict[BrowserConnection, str] = {}

    @property
    def active(self) -> BrowserConnection | None:
        """The browser that performs commands just now."""
        return self._active

    @property
    def connections(self) -> list[BrowserConnection]:
        """Every browser that is connected, the oldest first."""
        return list(self._connections)

    def role_of(self, connection: BrowserConnection) -> tuple[str, str]:
        """Returns a browser's role and its reason."""
        if connection is self._active:
            return "ACTIVE", "ELECTED"
        return "STANDBY", self._reasons.get(connection, "OTHER_BROWSER")

    async def join(self, connection: BrowserConnection, requests: list[Message]) -> None:
        """Takes a browser in, in place of an older connection of its own.

        Raises:
            PairingRefusedError: Its pairing was revoked just now.
            OrchestratorAwayError: Its role is not known.
        """
        for older in self.connections:
            if older.client_id == connection.client_id:
                self._forget(older)
                await older.part("REPLACED", "This browser has connected anew.")
        self.requests.greet(connection.client_id, requests)
        self._connections.append(connection)
        await self.elect()

    async def leave(self, connection: BrowserConnection) -> None:
        """Lets a browser go whose connection has ended, and elects another."""
        if connection in self._connections:
            self._forget(connection)
            await self.elect_soon()

    def _forget(self, connection: BrowserConnection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
        self._reasons.pop(connection, None)

    async def elect_soon(self) -> None:
        """Elects, and tries again later when that cannot be done now."""
        try:
            await self.elect()
        except (OrchestratorAwayError, PairingRefusedError) as error:
            log.warning("election_postponed", account_id=self.account_id, error=str(error))
            self._elect_later(RETRY_SECONDS)

    def _elect_later(self, seconds: float) -> None:
        if self._retry is not None:
            self._retry.cancel()
        loop = asyncio.get_running_loop()
        self._retry = loop.call_later(seconds, lambda: asyncio.ensure_future(self.elect_soon()))

    async def elect(self) -> None:
        """Makes one ready browser ACTIVE, if the account's session can be had, and tells each its role."""
        async with self._election:
            if self._active is not None and (
                self._active not in self._connections or not self._active.is_ready
            ):
                await self._give_up()
            if self._active is None:
                await self._choose()
            for connection in self.connections:
                if connection is not self._active and not connection.is_ready:
                    self._reasons[connection] = "NOT_READY"
                await connection.tell_role(self.epoch, *self.role_of(connection))

    async def _give_up(self) -> None:
        self._active = None
        try:
            await self._sessions.release(self.account_id, self.epoch)
        except OrchestratorAwayError as error:
            # It runs out by itself.
            log.warning("session_not_released", account_id=self.account_id, error=str(error))

    async def _choose(self) -> None:
        for connection in self.connections:
            if not connection.is_ready:
                continue
            pairing_id = connection.paired.pairing_id
            grant = await self._sessions.acquire(pairing_id, connection.token, connection.user_id)
            if grant.decision == "GRANTED":
                self._become_active(connection, grant)
                return
            self._reasons[connection] = "WRONG_USER" if grant.decision == "WRONG_USER" else "OTHER_BROWSER"
            if grant.decision == "HELD":
                self._elect_later(grant.retry_seconds or RETRY_SECONDS)

    def _become_active(self, connection: BrowserConnection, grant: SessionGrant) -> None:
        self._active, self.epoch, self.lease_seconds = connection, grant.epoch, grant.lease_seconds
        for other in self._connections:
            self._reasons[other] = "OTHER_BROWSER"
        self._on_elect()
        log.info("browser_elected", account_id=self.account_id, epoch=grant.epoch)

    async def lose(self) -> None:
        """Notes that another instance has the session, or that the pairing was revoked."""
        log.warning("session_lost", account_id=self.account_id, epoch=self.epoch)
        self._active = None
        for connection in self.connections:
            try:
                await self._sessions.verify_pairing(connection.token, connection.client_id)
            except PairingRefusedError:
                self._forget(connection)
                await connection.part("UNAUTHORIZED", "This browser is not paired any more.")
            except OrchestratorAwayError:
                # The next election finds out.
                continue
        await self.elect_soon()

    async def stop(self, kind: str) -> None:
        """Stops the account because the site refused its browser; only the seller lets it go on."""
        reason = STOPS[kind]
        log.warning("account_stopped", account_id=self.account_id, reason=reason, kind=kind)
        try:
            await self._sessions.stop_account(self._tenant_id, self.account_id, reason)
        except OrchestratorAwayError as error:
            # The browser has stopped by itself, and says so again when it connects anew.
            log.warning("account_not_stopped", account_id=self.account_id, error=str(error))

    async def resume(self) -> None:
        """Lets the account go on, because its seller said so."""
        try:
            await self._sessions.resume_account(self._tenant_id, self.account_id)
        except OrchestratorAwayError as error:
            log.warning("account_not_resumed", account_id=self.account_id, error=str(error))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One command at a time."""
        async with self._turn:
            yield

    def pace_seconds(self, interval_seconds: float) -> float:
        """Returns how long to wait for the next command, and counts it as begun then."""
        now = time.monotonic()
        begin = max(now, self._next_begin)
        self._next_begin = begin + interval_seconds
        return begin - now

    async def perform(
        self,
        request_id: str,
        operation: str,
        parameters: Mapping[str, Any],
        timeout_seconds: float,
        wait: float,
    ) -> Answer:
        """Sends a command to the active browser and waits for its answer, also over a reconnection.

        Args:
            request_id: One end to end.
            operation: As PROTOCOL.md lists them.
            parameters: Exactly those of the operation.
            timeout_seconds: How long the call may take in the browser.
            wait: How long to wait here.
        """
        active = self._active
        if active is None:
            return Answer.not_sent(
                request_id, "NOT_ACTIVE", "No browser of the account is connected and ready."
            )
        command = self.requests.begin(request_id, self.epoch, active.client_id)
        try:
            await active.send(
                {
                    "type": "command",
                    "request_id": request_id,
                    "epoch": self.epoch,
                    "operation": operation,
                    "parameters": dict(parameters),
                    "timeout_seconds": timeout_seconds,
                }
            )
            try:
                async with asyncio.timeout(wait):
                    return await asyncio.shield(command.answer)
            except TimeoutError:
                if self._active is not None:
                    await self._active.send({"type": "cancel", "request_id": request_id})
                text = "The browser did not answer in time; the command may have been performed."
                kind = "TIMEOUT" if active is self._active else "OFFLINE"
                return Answer(request_id, "UNKNOWN", error_kind=kind, error_message=text)
        finally:
            self.requests.end(command)

    async def acknowledge(self, request_id: str) -> None:
        """Lets the browsers forget an answer: the orchestrator has accepted the report that rests on it."""
        for connection in self.connections:
            if connection.was_welcomed:
                await connection.send({"type": "result_ack", "request_id": request_id})

    async def close(self) -> None:
        """Gives the session back and says goodbye."""
        if self._retry is not None:
            self._retry.cancel()
        async with self._election:
            if self._active is not None:
                await self._give_up()
            connections, self._connections = self._connections, []
        for connection in connections:
            await connection.part("SHUTTING_DOWN", "The gateway ends; connect again.")
