"""Fetches pictures from addresses that callers name, which may be hostile."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

import httpcore
import httpx

from stoflow_orchestrator.clients.address_guard import AddressGuard, AddressRefusedError
from stoflow_service_kit.errors import FailedPreconditionError, FieldViolation, InvalidArgumentError
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

MAX_REDIRECTS = 5
MAX_PORT = 65_535
# Of one connection, and of one wait for bytes; the caller bounds the whole.
STEP_SECONDS = 10.0
_HEADERS = [
    (b"Accept", b"image/jpeg, image/png, image/webp"),
    # Bytes as they are: what is small and unpacks to much cannot arise.
    (b"Accept-Encoding", b"identity"),
    (b"User-Agent", b"stoflow-orchestrator"),
]
_TIMEOUTS = dict.fromkeys(("connect", "read", "write", "pool"), STEP_SECONDS)
_REDIRECTS = {301, 302, 303, 307, 308}
_FAILURES = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
)


class ImageAddressRefusedError(InvalidArgumentError):
    """IMAGE_ADDRESS_REFUSED: pictures are not fetched from there."""

    def __init__(self, message: str) -> None:
        violation = FieldViolation("url", message)
        super().__init__([violation], message=message, reason="IMAGE_ADDRESS_REFUSED")


class ImageFetchFailedError(FailedPreconditionError):
    """IMAGE_FETCH_FAILED: the address gave no file."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="IMAGE_FETCH_FAILED")


class ImageSource:
    """Reads files over HTTP; only connects to addresses that the guard has checked."""

    def __init__(self, guard: AddressGuard, ssl_context: ssl.SSLContext | None = None) -> None:
        """Takes the guard.

        Args:
            guard: Decides which addresses are connected to.
            ssl_context: Which certificates are trusted; by default those of the public internet.
        """
        self._backend = _GuardedBackend(guard)
        self._ssl_context = ssl_context or httpx.create_ssl_context(trust_env=False)

    async def read(self, url: str) -> AsyncGenerator[bytes]:
        """Yields the bytes behind an address, following redirects; close it when it is left early.

        Raises:
            ImageAddressRefusedError: The address, or one that it redirects to, is none to connect to.
            ImageFetchFailedError: There was no answer, or none with a file.
        """
        target = _parse(url)
        # No proxy: it would connect to addresses that nobody has checked.
        pool = httpcore.AsyncConnectionPool(
            ssl_context=self._ssl_context, max_keepalive_connections=0, network_backend=self._backend
        )
        try:
            async with pool:
                for _ in range(MAX_REDIRECTS + 1):
                    async with pool.stream(
                        b"GET", _plain(target), headers=_HEADERS, extensions={"timeout": _TIMEOUTS}
                    ) as response:
                        location = _location(response)
                        if location is None:
                            async with aclosing(_body(response)) as chunks:
                                async for chunk in chunks:
                                    yield chunk
                            return
                    target = _parse(location, target)
        except AddressRefusedError as error:
            raise ImageAddressRefusedError("The address does not lead to the public internet.") from error
        except _FAILURES as error:
            log.info("image_fetch_failed", error=type(error).__name__)
            raise ImageFetchFailedError("The address could not be read.") from error
        raise ImageFetchFailedError(f"The address redirects more than {MAX_REDIRECTS} times.")


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the very addresses that were checked, while TLS and Host keep the name that was asked for."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's own
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        error: Exception = httpcore.ConnectError("no address")
        for address in await self._guard.list_addresses(host, port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def _parse(url: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        parsed = httpx.URL(url) if base is None else base.join(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise ImageAddressRefusedError("The address is malformed.") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ImageAddressRefusedError("Only http and https addresses are fetched.")
    if parsed.port is not None and not 0 < parsed.port <= MAX_PORT:
        raise ImageAddressRefusedError("The address has a port that does not exist.")
    if parsed.userinfo:
        raise ImageAddressRefusedError("An address must not carry a user name or a password.")
    return parsed


def _plain(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _location(response: httpcore.Response) -> str | None:
    """Returns where a redirect leads; None for an answer with a file."""
    if response.status in _REDIRECTS:
        for name, value in response.headers:
            if name.lower() == b"location":
                return value.decode("latin-1")
    if response.status != 200:
        raise ImageFetchFailedError(f"The address answered with HTTP status {response.status}.")
    return None


async def _body(response: httpcore.Response) -> AsyncGenerator[bytes]:
    async for chunk in response.aiter_stream():
        yield chunk
