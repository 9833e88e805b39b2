"""The token by which a client says who it is, and a channel that sends it along with every call."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import grpc
import grpc.aio

from stoflow_service_kit.logs import get_logger
from stoflow_service_kit.startup import StartError

log = get_logger(__name__)

AUTHORIZATION_KEY = "authorization"
MAX_TOKEN_CHARACTERS = 8_192
# A changed file is noticed this late; looking at it is one call of the system.
CHECK_SECONDS = 1.0

_TOKEN = re.compile(rf"[A-Za-z0-9._~+/=-]{{1,{MAX_TOKEN_CHARACTERS}}}")


class TokenSource(Protocol):
    """Knows the token of this moment."""

    def current(self) -> str:
        """Returns the bearer token, without the word Bearer."""


class FixedToken:
    """A token that never changes."""

    def __init__(self, token: str) -> None:
        """Takes the token.

        Raises:
            StartError: It holds characters that no bearer token has.
        """
        self._token = token.strip()
        if not _TOKEN.fullmatch(self._token):
            raise StartError(
                "The token is no bearer token: it is empty, too long or has forbidden characters."
            )

    def current(self) -> str:
        return self._token


class TokenFile:
    """The token in a file, read again when the file changes, so that tokens are renewed without a restart."""

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Reads the file for the first time.

        Args:
            path: Holds the token and nothing else; blanks around it do not count.
            monotonic: Seconds, for how often the file is looked at.

        Raises:
            StartError: There is no such file, or no token in it.
        """
        self._path = path
        self._monotonic = monotonic
        self._checked_at = monotonic()
        self._version = self._stat()
        self._token = self._read()

    def current(self) -> str:
        now = self._monotonic()
        if now - self._checked_at >= CHECK_SECONDS:
            self._checked_at = now
            self._follow()
        return self._token

    def _follow(self) -> None:
        try:
            version = self._stat()
            if version == self._version:
                return
            self._token = self._read()
        except StartError as error:
            # Whoever renews it may be in the middle of that; the token at hand may still be good.
            log.warning("token_file_unreadable", error=str(error))
        else:
            self._version = version
            log.info("token_file_read", path=str(self._path))

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError as error:
            raise StartError(f"The token file {self._path} cannot be read: {error.strerror}.") from error
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> str:
        try:
            token = self._path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"The token file {self._path} cannot be read.") from error
        if not _TOKEN.fullmatch(token):
            # Never its content.
            raise StartError(f"The token file {self._path} does not hold a bearer token.")
        return token


def open_token_file(path: str | None) -> TokenFile | None:
    """Opens the file that a setting names; None when it names none.

    Raises:
        StartError: There is no such file, or no token in it.
    """
    return None if path is None else TokenFile(Path(path))


class TokenChannel(grpc.aio.Channel):
    """A channel whose calls carry the token of their moment.

    grpc's own call credentials need TLS, and its interceptors start a task for each call.
    """

    def __init__(self, channel: grpc.aio.Channel, token: TokenSource) -> None:
        self._channel = channel
        self._token = token

    async def __aenter__(self) -> Self:
        await self._channel.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        return await self._channel.__aexit__(exc_type, exc_val, exc_tb)

    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        return _TokenCall(self._channel.unary_unary(*args, **kwargs), self._token)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        return _TokenCall(self._channel.unary_stream(*args, **kwargs), self._token)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        return _TokenCall(self._channel.stream_unary(*args, **kwargs), self._token)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        return _TokenCall(self._channel.stream_stream(*args, **kwargs), self._token)


class _TokenCall:
    """One method of a channel."""

    def __init__(self, call: Any, token: TokenSource) -> None:
        self._call = call
        self._token = token

    def __call__(self, *args: Any, metadata: Any = None, **kwargs: Any) -> Any:
        header = (AUTHORIZATION_KEY, f"Bearer {self._token.current()}")
        return self._call(*args, metadata=(*(metadata or ()), header), **kwargs)
