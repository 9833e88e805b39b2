"""A way to NATS on which acknowledgements get lost: everything else passes."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_ACK = b"PUB $JS.ACK."


class AckSink:
    """A TCP proxy that swallows what a client publishes to $JS.ACK, until told otherwise.

    A service behind it that is killed once `swallowed` is above zero died between commit and acknowledgement.
    """

    def __init__(self, nats_url: str) -> None:
        self._target = urlsplit(nats_url)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.swallowed = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        up_reader, up_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._without_acks(reader, up_writer))
                group.create_task(_copy(up_reader, writer))
        except* (ConnectionError, asyncio.IncompleteReadError):
            # The client was killed, which is what this proxy is for.
            pass
        finally:
            self._connections.discard(task)
            writer.close()
            up_writer.close()

    async def _without_acks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            payload = b""
            if line.startswith((b"PUB ", b"HPUB ")):
                # The size of the payload stands last; the payload is followed by an end of line.
                payload = await reader.readexactly(int(line.split()[-1]) + 2)
            if line.startswith(_ACK):
                self.swallowed += 1
                continue
            writer.write(line + payload)
            await writer.drain()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()
