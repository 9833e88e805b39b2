"""The connection of a scripted browser to a gateway: pair, hello, obey, connect again."""

import asyncio
import contextlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Origin, Subprotocol

from stoflow_sandbox.browser.executor import CommandExecutor, Message
from stoflow_sandbox.browser.memory import RequestMemory
from stoflow_sandbox.browser.messages import MALFORMED, SUBPROTOCOL, VERSION, MessageError, read_message
from stoflow_sandbox.browser.site_tab import SiteTab

SCRIPTED_ORIGIN = "chrome-extension://scripted"
FINAL_REASONS = frozenset({"UNAUTHORIZED", "VERSION_UNSUPPORTED", "REPLACED"})


class PairingRefusedError(Exception):
    """The gateway did not take the code; the text is its reason."""


@dataclass(frozen=True, slots=True)
class BrowserSettings:
    """How a browser is set up. Times are in seconds.

    Attributes:
        gateway_url: As in ws://127.0.0.1:8090/browser.
        client_id: A UUID that lives as long as the request memory.
        origin: What an extension would send as its origin.
        image_origins: From where photos may be fetched, as in http://127.0.0.1:8080.
    """

    gateway_url: str
    client_id: str
    origin: str = SCRIPTED_ORIGIN
    image_origins: frozenset[str] = frozenset()
    client_name: str = "Scripted browser"
    ping_seconds: float = 20.0
    least_reconnect_seconds: float = 1.0
    most_reconnect_seconds: float = 60.0


class ScriptedBrowser:
    """One browser of one seller. `run` serves until it is cancelled; the other methods are what a person does."""

    def __init__(
        self, settings: BrowserSettings, token: str = "", memory: RequestMemory | None = None
    ) -> None:
        self.settings = settings
        self.token = token
        self.role: str | None = None
        self.last_bye: str | None = None
        self.received: list[Message] = []
        self._outbox: asyncio.Queue[Message] | None = None
        self._told_session: Message = {}
        self._connection: ClientConnection | None = None
        self._may_connect = asyncio.Event()
        self._may_connect.set()
        self._changed = asyncio.Condition()
        self.executor = CommandExecutor(memory or RequestMemory(), settings.image_origins, self._send)

    # What a person does.

    async def pair(self, code: str) -> str:
        """Exchange the code that the seller was shown, and return the token.

        Raises:
            PairingRefusedError: The code is wrong, used or too old, or there were too many attempts.
        """
        async with self._connect() as socket:
            message = self._greeting("pair") | {"code": code}
            await socket.send(json.dumps(message))
            answer = read_message(await socket.recv())
        if answer["type"] != "paired":
            raise PairingRefusedError(answer.get("reason", answer["type"]))
        self.token = answer["token"]
        return self.token

    async def open_tab(self, site_url: str, login: str = "", password: str = "") -> SiteTab:
        """Open a tab of the site, and sign in when a login is given."""
        tab = SiteTab(site_url)
        await (tab.sign_in(login, password) if login else tab.load())
        self.executor.tab = tab
        self.executor.tell_session()
        return tab

    async def close_tab(self) -> None:
        """Close the tab, also in the middle of a call: its outcome is then unknown."""
        tab, self.executor.tab = self.executor.tab, None
        self.executor.interrupt("TAB_CLOSED", "The tab was closed before the site answered.")
        self.executor.tell_session()
        if tab is not None:
            await tab.close()

    def pause(self) -> None:
        self.executor.pause("SELLER")

    def resume(self) -> None:
        self.executor.resume()

    async def go_offline(self) -> None:
        """Lose the gateway, without a word, until `go_online`."""
        self._may_connect.clear()
        if self._connection is not None:
            self._connection.transport.abort()

    def go_online(self) -> None:
        self._may_connect.set()

    async def wait_for(self, type_: str, seconds: float = 10, **fields: Any) -> Message:
        """Return the first message of this type and with these fields that the gateway ever sent."""

        def found() -> Message | None:
            wanted = {"type": type_, **fields}
            return next((one for one in self.received if wanted.items() <= one.items()), None)

        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: found() is not None)
        message = found()
        assert message is not None
        return message

    async def close(self) -> None:
        """Let go of the tab without a word to the gateway; `run` has ended before."""
        if self.executor.tab is not None:
            await self.executor.tab.close()

    # The connection.

    async def run(self) -> None:
        """Connect, obey, connect again; returns when the gateway said that it is of no use."""
        async with asyncio.TaskGroup() as group:
            performing = group.create_task(self.executor.run())
            delay = self.settings.least_reconnect_seconds
            while self.last_bye not in FINAL_REASONS:
                await self._may_connect.wait()
                was_welcome = await self._serve_once()
                delay = self.settings.least_reconnect_seconds if was_welcome else delay * 2
                delay = min(delay, self.settings.most_reconnect_seconds)
                if self.last_bye not in FINAL_REASONS:
                    # Full jitter is not wanted: a seller who comes back should not wait for long.
                    await asyncio.sleep(delay * random.uniform(0.5, 1))
            performing.cancel()

    def _connect(self) -> connect:
        return connect(
            self.settings.gateway_url,
            origin=Origin(self.settings.origin),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            max_size=1024 * 1024,
            proxy=None,
        )

    def _greeting(self, type_: str) -> Message:
        settings = self.settings
        return {
            "type": type_,
            "version": VERSION,
            "client_id": settings.client_id,
            "client_name": settings.client_name,
        }

    async def _serve_once(self) -> bool:
        """Hold one connection until it ends; says whether the gateway welcomed this browser."""
        before = len(self.received)
        try:
            async with self._connect() as socket:
                await self._serve(socket)
        except (OSError, WebSocketException, TimeoutError):
            # The next attempt follows; whoever watches sees it from `role`.
            pass
        finally:
            self._connection, self._outbox, self.role = None, None, None
            self.executor.is_active = False
            await self._notify()
        return any(one["type"] == "welcome" for one in self.received[before:])

    async def _serve(self, socket: ClientConnection) -> None:
        self._connection = socket
        self._told_session = self.executor.session()
        hello = self._greeting("hello") | {
            "token": self.token,
            "session": self._told_session,
            "requests": self.executor.open_requests(),
        }
        await socket.send(json.dumps(hello))
        outbox: asyncio.Queue[Message] = asyncio.Queue()
        helpers = [
            asyncio.create_task(self._write(socket, outbox)),
            asyncio.create_task(self._ping(outbox)),
        ]
        try:
            async for text in socket:
                try:
                    message = read_message(text)
                except MessageError as error:
                    await self._part(socket, str(error)[:500])
                    return
                await self._obey(message, outbox)
                if message["type"] == "bye":
                    return
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _part(self, socket: ClientConnection, message: str) -> None:
        await socket.send(json.dumps({"type": "bye", "reason": "MALFORMED", "message": message}))
        await socket.close(MALFORMED, "MALFORMED")

    async def _obey(self, message: Message, outbox: asyncio.Queue[Message]) -> None:
        executor = self.executor
        match message["type"]:
            case "welcome" | "role":
                self.role, executor.epoch = message["role"], message["epoch"]
                executor.is_active = message["role"] == "ACTIVE"
                if message["type"] == "welcome":
                    self._speak(outbox)
            case "command":
                executor.take(message)
            case "cancel":
                executor.cancel(message["request_id"])
            case "result_ack":
                executor.acknowledge(message["request_id"])
            case "bye":
                self.last_bye = message["reason"]
        self.received.append(message)
        await self._notify()

    def _speak(self, outbox: asyncio.Queue[Message]) -> None:
        """Begin to say more than hello: what changed since, and every answer kept."""
        self._outbox = outbox
        if self.executor.session() != self._told_session:
            self.executor.tell_session()
        self.executor.send_kept_results()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _send(self, message: Message) -> None:
        # Without a welcome nothing may be said: results are kept, and the session follows the welcome.
        if self._outbox is not None:
            self._outbox.put_nowait(message)

    async def _write(self, socket: ClientConnection, outbox: asyncio.Queue[Message]) -> None:
        with contextlib.suppress(ConnectionClosed):
            # That the connection ended is the reader's to notice.
            while True:
                await socket.send(json.dumps(await outbox.get()))

    async def _ping(self, outbox: asyncio.Queue[Message]) -> None:
        while True:
            await asyncio.sleep(self.settings.ping_seconds)
            outbox.put_nowait({"type": "ping"})


def image_origins(text: str) -> frozenset[str]:
    """Return the origins in a comma-separated setting."""
    parts: Sequence[str] = [part.strip().rstrip("/") for part in text.split(",")]
    return frozenset(part for part in parts if part)
