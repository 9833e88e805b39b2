"""A marketplace's HTTP server that does what a test says."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Remote:
    """Records what it receives.

    Attributes:
        requests: Method and path of each request whose head arrived.
        replies: What to do by path; without an entry 200 is answered.
        url: Where it is.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.replies: dict[str, Reply] = {}
        self.url = ""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
                if length:
                    await reader.readexactly(int(length[0].split(":")[1]))
                method, path, _ = head.split(" ", 2)
                self.requests.append(f"{method} {path}")
                reply = self.replies.get(path)
                if reply is None:
                    writer.write(OK)
                else:
                    await reply(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            # The client is done, or was meant to be cut off.
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
