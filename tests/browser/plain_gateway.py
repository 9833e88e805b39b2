"""A gateway that does what a test tells it, and holds the browser to every word of PROTOCOL.md.

It stands for no code of ours: it is the other end of the line, so that extension and scripted browser are judged by one
reading of the protocol.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

Message = dict[str, Any]

# A Chromium among many other processes takes its time.
PATIENCE_SECONDS = 45.0
USER = {"id": str, "login": str}
SESSION = {"state": str, "user?": USER, "pause?": str}
BROWSER_MESSAGES: Mapping[str, Mapping[str, Any]] = {
    "pair": {"version": int, "code": str, "client_id": str, "client_name": str},
    "hello": {
        "version": int,
        "token": str,
        "client_id": str,
        "client_name": str,
        "session": SESSION,
        "requests": list,
    },
    "session": {"session": SESSION},
    "pause": {"reason": str},
    "resume": {},
    "accepted": {"request_id": str},
    "progress": {"request_id": str, "stage": str},
    "result": {
        "request_id": str,
        "epoch": int,
        "outcome": str,
        "http_status?": int,
        "headers?": dict,
        "body?": str,
        "error?": {"kind": str, "message": str},
        "started_time?": str,
        "finished_time": str,
    },
    "ping": {},
    "bye": {"reason": str, "message": str, "retry_after_seconds?": float},
}
STATES = {"READY", "NO_TAB", "SIGNED_OUT", "PAUSED"}


def check(message: Message, shape: Mapping[str, Any]) -> None:
    """Fails unless the message has exactly the fields of its shape."""
    names = {name.removesuffix("?"): kind for name, kind in shape.items()}
    required = {name for name in shape if not name.endswith("?")}
    assert required <= message.keys() <= names.keys(), (message, sorted(names))
    for name, value in message.items():
        kind = names[name]
        if isinstance(kind, Mapping):
            check(value, kind)
        else:
            assert isinstance(value, kind), (name, value)
    if shape is SESSION:
        assert message["state"] in STATES
        assert ("pause" in message) == (message["state"] == "PAUSED")


@dataclass
class Browser:
    """One connected browser, seen from the gateway."""

    socket: ServerConnection
    hello: Message
    epoch: int
    said: list[Message] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    acknowledges: bool = True
    is_gone: bool = False

    @property
    def session(self) -> Message:
        changes = [one["session"] for one in self.said if one["type"] == "session"]
        session: Message = changes[-1] if changes else self.hello["session"]
        return session

    async def send(self, type_: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": type_, **fields}))

    async def begin(self, operation: str, request_id: str | None = None, **parameters: Any) -> str:
        """Sends a command and returns its id without waiting."""
        request_id = request_id or str(uuid.uuid4())
        await self.send(
            "command",
            request_id=request_id,
            epoch=self.epoch,
            operation=operation,
            parameters=parameters,
            timeout_seconds=20,
        )
        return request_id

    async def perform(self, operation: str, request_id: str | None = None, **parameters: Any) -> Message:
        """Sends a command and returns its result."""
        before = len(self.said)
        request_id = await self.begin(operation, request_id, **parameters)
        return await self.wait_for("result", after=before, request_id=request_id)

    async def wait_for(
        self, type_: str, seconds: float = PATIENCE_SECONDS, after: int = 0, **fields: Any
    ) -> Message:
        """Returns the first message of a type, with these fields, that the browser said."""
        wanted = {"type": type_, **fields}

        def find() -> Message | None:
            return next((one for one in self.said[after:] if wanted.items() <= one.items()), None)

        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: find() is not None)
        found = find()
        assert found is not None
        return found

    async def wait_for_state(self, state: str, seconds: float = PATIENCE_SECONDS) -> Message:
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: self.session["state"] == state)
        return self.session

    async def wait_gone(self, seconds: float = PATIENCE_SECONDS) -> None:
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: self.is_gone)


class PlainGateway:
    """Takes one pairing code, welcomes everybody with the right token; the first READY browser is ACTIVE."""

    code = "K7QM-4TXP"
    token = "a-token-of-the-gateway"

    def __init__(self) -> None:
        self.account = {"account_id": str(uuid.uuid4()), "display_name": "My wardrobe"}
        self.browsers: list[Browser] = []
        self.faults: list[str] = []
        self.origins: list[str | None] = []
        self._epoch = 0
        self._arrived = asyncio.Condition()
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol("stoflow.browser.v1")],
            max_size=4 * 1024 * 1024,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
        assert self.faults == []

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/browser"

    async def wait_for_browser(self, number: int = 1, seconds: float = PATIENCE_SECONDS) -> Browser:
        """Returns the browser that was the number-th to say hello."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.browsers) >= number)
        return self.browsers[number - 1]

    async def elect(self, browser: Browser, role: str = "ACTIVE", reason: str = "ELECTED") -> None:
        """Changes a browser's role under a new epoch."""
        self._epoch += 1
        browser.epoch = self._epoch
        await browser.send("role", epoch=self._epoch, role=role, reason=reason)

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.origins.append(socket.request.headers.get("Origin"))
        assert socket.subprotocol == "stoflow.browser.v1"
        try:
            first = self._read(await socket.recv())
            if first["type"] == "pair":
                await self._pair(socket, first)
            else:
                await self._welcome(socket, first)
        except ConnectionClosed:
            # A browser may leave at any time; the tests look at what it said before.
            pass

    def _read(self, text: str | bytes) -> Message:
        try:
            assert isinstance(text, str)
            message: Message = json.loads(text)
            check(message, {"type": str, **BROWSER_MESSAGES[message["type"]]})
        except (AssertionError, KeyError, ValueError) as error:
            self.faults.append(f"{text!r}: {error!r}")
            raise
        return message

    async def _pair(self, socket: ServerConnection, message: Message) -> None:
        if message["code"].replace("-", "").replace(" ", "").upper() != self.code.replace("-", ""):
            text = "The code is not known."
            await socket.send(json.dumps({"type": "bye", "reason": "PAIRING_REFUSED", "message": text}))
            await socket.close(4403, "PAIRING_REFUSED")
            return
        await socket.send(json.dumps({"type": "paired", "token": self.token, "account": self.account}))
        await socket.close(1000)

    async def _welcome(self, socket: ServerConnection, hello: Message) -> None:
        if hello["token"] != self.token:
            text = "The token is not known."
            await socket.send(json.dumps({"type": "bye", "reason": "UNAUTHORIZED", "message": text}))
            await socket.close(4401, "UNAUTHORIZED")
            return
        self._epoch += 1
        browser = Browser(socket, hello, self._epoch)
        is_taken = any(not one.is_gone for one in self.browsers)
        await browser.send(
            "welcome",
            session_id=str(uuid.uuid4()),
            epoch=self._epoch,
            role="STANDBY" if is_taken else "ACTIVE",
            reason="OTHER_BROWSER" if is_taken else "ELECTED",
            account=self.account,
        )
        async with self._arrived:
            self.browsers.append(browser)
            self._arrived.notify_all()
        try:
            async for frame in socket:
                await self._hear(browser, self._read(frame))
        finally:
            browser.is_gone = True
            async with browser.changed:
                browser.changed.notify_all()

    async def _hear(self, browser: Browser, message: Message) -> None:
        if message["type"] == "ping":
            await browser.send("pong")
        if message["type"] == "result" and browser.acknowledges:
            await browser.send("result_ack", request_id=message["request_id"])
        async with browser.changed:
            browser.said.append(message)
            browser.changed.notify_all()
