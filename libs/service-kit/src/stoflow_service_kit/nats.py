"""Connections to NATS that survive restarts and say what is wrong."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from nats.aio.client import Client

from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.logs import get_logger, redact_text
from stoflow_service_kit.settings import join_host_port
from stoflow_service_kit.startup import StartError

log = get_logger(__name__)

PING_INTERVAL_SECONDS = 10
CONNECT_TIMEOUT_SECONDS = 3


class NatsPermissionError(Exception):
    """The server refused a subject; the call itself only times out, so this is the one sign of it."""


class NatsConnection(Client):  # type: ignore[misc, unused-ignore]
    """nats-py's client that knows whether it was closed on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = False

    async def close(self) -> None:
        self.closing = True
        await super().close()

    async def drain(self) -> None:
        self.closing = True
        await super().drain()


def nats_address(url: str) -> str:
    """Returns `host:port` of each server, for logs: no user and no password."""
    parts = [urlsplit(server.strip()) for server in url.split(",")]
    return ",".join(join_host_port(part.hostname or "localhost", part.port or 4222) for part in parts)


async def connect_nats(
    url: str,
    name: str,
    *,
    on_fatal: Callable[[Exception], None],
    inbox_prefix: str = "_INBOX",
    hears_itself: bool = True,
    tls: ssl.SSLContext | None = None,
    backoff: Backoff | None = None,
) -> NatsConnection:
    """Connects, waiting for the server for as long as it takes, and reconnects for ever after.

    Args:
        url: `nats://host:port`, several separated by commas; may hold user and password.
        name: Shown in the server's monitoring.
        on_fatal: Called when the server refuses a subject or closes the connection for good: waiting cures
            neither, so a service stops.
        inbox_prefix: Where answers arrive; a restricted user may listen only below its own.
        hears_itself: Whether what it publishes reaches its own subscriptions.
        tls: Certificates, for `tls://`.
        backoff: Delays between attempts, at start and after a loss.

    Raises:
        StartError: The server refuses these credentials.
    """
    address = nats_address(url)
    connection = NatsConnection()
    events = _Events(connection, address, on_fatal, backoff or Backoff())
    options: dict[str, Any] = {"tls": tls} if tls else {}
    connecting = asyncio.ensure_future(
        connection.connect(
            [server.strip() for server in url.split(",")],
            name=name,
            error_cb=events.on_error,
            disconnected_cb=events.on_disconnected,
            reconnected_cb=events.on_reconnected,
            closed_cb=events.on_closed,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            ping_interval=PING_INTERVAL_SECONDS,
            max_outstanding_pings=2,
            inbox_prefix=inbox_prefix,
            no_echo=not hears_itself,
            **options,
        )
    )
    refused = asyncio.ensure_future(events.refused.wait())
    try:
        await asyncio.wait([connecting, refused], return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            # nats-py would repeat wrong credentials for ever.
            raise StartError(f"NATS at {address} refuses the credentials of NATS_URL.")
        await connecting
    except BaseException:
        connecting.cancel()
        await asyncio.wait([connecting])
        await connection.close()
        raise
    finally:
        refused.cancel()
    events.on_connected()
    return connection


class _Events:
    """nats-py's callbacks; they also set its next delay, which it reads from its options."""

    def __init__(
        self,
        connection: NatsConnection,
        address: str,
        on_fatal: Callable[[Exception], None],
        backoff: Backoff,
    ) -> None:
        self.refused = asyncio.Event()
        self._connection = connection
        self._address = address
        self._on_fatal = on_fatal
        self._backoff = backoff
        self._failures = 0
        self._connected = False

    def on_connected(self) -> None:
        self._connected = True
        self._reset()
        log.info("nats_connected", address=self._address)

    async def on_error(self, error: Exception) -> None:
        text = redact_text(f"{type(error).__name__}: {error}")
        if "permissions violation" in str(error).lower():
            log.error("nats_permission_violation", address=self._address, error=text)
            self._on_fatal(NatsPermissionError(str(error)))
        elif "authorization violation" in str(error).lower():
            log.error("nats_credentials_refused", address=self._address, error=text)
            self.refused.set()
            if self._connected:
                self._on_fatal(error)
        elif not self._connection.is_connected:
            self._failures += 1
            delay = self._backoff.delay_seconds(self._failures)
            self._connection.options["reconnect_time_wait"] = delay
            log.warning(
                "server_unreachable",
                server="NATS",
                address=self._address,
                error=text,
                failures=self._failures,
                retry_in_seconds=round(delay, 2),
            )
        else:
            log.warning("nats_error", address=self._address, error=text)

    async def on_disconnected(self) -> None:
        if not self._connection.closing:
            log.warning("nats_disconnected", address=self._address)

    async def on_reconnected(self) -> None:
        log.info("nats_reconnected", address=self._address, failures=self._failures)
        self._reset()

    async def on_closed(self) -> None:
        if self._connection.closing:
            log.debug("nats_closed", address=self._address)
            return
        error = self._connection.last_error or ConnectionError("closed by the server")
        log.error("nats_closed_by_server", address=self._address, error=redact_text(str(error)))
        if self._connected:
            self._on_fatal(error)

    def _reset(self) -> None:
        self._failures = 0
        self._connection.options["reconnect_time_wait"] = 0
