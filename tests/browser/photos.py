"""A tiny server of photos, in the place of the orchestrator's signed image addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Self


class PhotoServer:
    """Serves bytes by name; without CORS headers, as the orchestrator does."""

    def __init__(self, photos: Mapping[str, bytes]) -> None:
        self._photos = photos
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def origin(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def url(self, name: str) -> str:
        return f"{self.origin}/{name}?signature=abc"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        name = head.split(b" ")[1].decode().partition("?")[0].lstrip("/")
        content = self._photos.get(name)
        status, payload = ("200 OK", content) if content is not None else ("404 Not Found", b"")
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: image/png\r\nContent-Length: {len(payload)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + payload
        )
        await writer.drain()
        writer.close()
