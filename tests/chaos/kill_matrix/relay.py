"""A TCP relay whose directions can be frozen one by one: what was sent is withheld, and nobody is told."""

from __future__ import annotations

import asyncio
from typing import Self

_CHUNK_BYTES = 64 * 1024


class Relay:
    """Stands between a connector and the orchestrator."""

    def __init__(self, target: str) -> None:
        self._host, _, self._port = target.rpartition(":")
        self._requests_pass = asyncio.Event()
        self._answers_pass = asyncio.Event()
        self._requests_pass.set()
        self._answers_pass.set()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.address = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def freeze_requests(self) -> None:
        """From now on the orchestrator hears nothing."""
        self._requests_pass.clear()

    def freeze_answers(self) -> None:
        """From now on the connector hears nothing."""
        self._answers_pass.clear()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.ensure_future(self._relay(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target_reader, target_writer = await asyncio.open_connection(self._host, int(self._port))
        except OSError:
            # The orchestrator is away, which the connector learns as it would without a relay.
            writer.close()
            return
        pumps = [
            asyncio.ensure_future(_pump(reader, target_writer, self._requests_pass)),
            asyncio.ensure_future(_pump(target_reader, writer, self._answers_pass)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for end in (writer, target_writer):
                end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: asyncio.Event) -> None:
    try:
        while data := await reader.read(_CHUNK_BYTES):
            await passes.wait()
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        # One end is gone, which ends both directions.
        return
