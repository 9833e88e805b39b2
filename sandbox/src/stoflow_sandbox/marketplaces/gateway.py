"""The door of a marketplace sandbox: reads a call, logs it, lets a fault have it or obeys it, and answers.

A raw ASGI application, because a fault must be able to answer nothing at all or break the connection.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Coroutine
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from stoflow_sandbox.marketplaces.exchange import Call, Marketplace, Reply, Subject
from stoflow_sandbox.marketplaces.fault_book import FaultBook
from stoflow_sandbox.marketplaces.fault_strategies import STRATEGIES
from stoflow_sandbox.marketplaces.request_log import LogEntry, RequestLog

logger = logging.getLogger(__name__)

BODY_LIMIT_BYTES = 32 * 1024 * 1024
TRANSPORT_KEY = "stoflow.transport"


def expose_transport(app: ASGIApp) -> ASGIApp:
    """Wrap the outermost application so that the connection's transport can be found in the scope.

    uvicorn gives applications no way to break a connection; its `send` is a method of the object that can.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[TRANSPORT_KEY] = getattr(getattr(send, "__self__", None), "transport", None)
        await app(scope, receive, send)

    return wrapped


class Exchange:
    """One call on one connection, with the ways in which it can end."""

    def __init__(
        self, gateway: "Gateway", call: Call, subject: Subject, entry: LogEntry, wire: "Wire"
    ) -> None:
        self.call = call
        self.subject = subject
        self.entry = entry
        self.faults = gateway.faults
        self._gateway = gateway
        self._wire = wire

    async def obey(self) -> Reply:
        """Let the marketplace obey the call and note what it did."""
        reply = await self._gateway.marketplace.respond(self.call)
        self.entry.record_reply(reply)
        return reply

    def obey_later(self, delay_seconds: float) -> None:
        """Obey the call after a delay, whatever becomes of the connection, as a log entry of its own."""
        self._gateway.spawn(self._obey_later(delay_seconds))

    async def _obey_later(self, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        log = self._gateway.log
        late = log.open(self.call, self.subject, kind="late_effect", late_for=self.entry.seq)
        late.rule_id = self.entry.rule_id
        late.record_reply(await self._gateway.marketplace.respond(self.call))
        await log.close(late, "answered")

    def fault_reply(self, status: int, content: Any = None) -> Reply:
        """Return a reply that the marketplace's rules had no part in."""
        self.entry.status = status
        if content is None:
            content = self._gateway.marketplace.fault_content(status, self.call.path)
        return Reply(status, content)

    async def answer(self, reply: Reply, *, cut_body: bool = False) -> None:
        payload = reply.encode()
        if cut_body:
            payload = payload[: max(1, len(payload) // 2)] or b'{"'
        self.entry.status = reply.status
        # Closed first: whoever has read the answer must find it in the log.
        await self._gateway.log.close(self.entry, "client_gone" if self._wire.is_gone else "answered")
        await self._wire.respond(reply, payload)

    async def client_left(self, limit_seconds: float, release: asyncio.Event | None = None) -> str:
        """Wait, answering nothing: returns "released", "client_gone" or, after the limit, "given_up"."""
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._wire.gone())]
        if release is not None:
            waits.append(asyncio.ensure_future(release.wait()))
        try:
            await asyncio.wait(waits, timeout=limit_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if release is not None and release.is_set():
            return "released"
        return "client_gone" if self._wire.is_gone else "given_up"

    async def break_off(self, outcome: str, *, status: int | None = None) -> None:
        """End without an answer: reset the connection, as far as it still stands."""
        self.entry.status = status
        await self._gateway.log.close(self.entry, outcome)
        await self._wire.reset()


class Wire:
    """The client's end of one call."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.is_gone = False

    async def read(self) -> bytes | None:
        """Return the whole body, or None when the client left first."""
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.is_gone = True
                return None
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > BODY_LIMIT_BYTES:
                await self.reset()
                return None
            if not message.get("more_body", False):
                return b"".join(chunks)

    async def gone(self) -> None:
        """Return when the client has left."""
        while not self.is_gone:
            self.is_gone = (await self._receive())["type"] == "http.disconnect"

    async def respond(self, reply: Reply, payload: bytes) -> None:
        headers = {"content-length": str(len(payload))} if payload or reply.status != 204 else {}
        if payload:
            headers["content-type"] = reply.media_type
        headers |= reply.headers
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": reply.status, "headers": raw})
        await self._send({"type": "http.response.body", "body": payload})

    async def reset(self) -> None:
        transport = self._scope.get(TRANSPORT_KEY)
        if transport is None:
            raise RuntimeError("the application was not wrapped with expose_transport")
        connection = transport.get_extra_info("socket")
        if connection is not None and not transport.is_closing():
            # Lingering for zero seconds makes the kernel send RST instead of an orderly FIN.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        await self.gone()


class Gateway:
    """ASGI application in front of one marketplace."""

    def __init__(self, marketplace: Marketplace, faults: FaultBook, log: RequestLog) -> None:
        self.marketplace = marketplace
        self.faults = faults
        self.log = log
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wire = Wire(scope, receive, send)
        body = await wire.read()
        if body is None:
            return
        call = make_call(scope, body)
        subject = self.marketplace.identify(call)
        exchange = Exchange(self, call, subject, self.log.open(call, subject), wire)
        try:
            await self._handle(exchange)
        except Exception:
            # The server answers 500 and logs the traceback; a test that reads the log must see that this
            # ended.
            await self.log.close(exchange.entry, "failed")
            raise

    async def _handle(self, exchange: Exchange) -> None:
        rule = self.faults.take(exchange.call, exchange.subject)
        if rule is None:
            await exchange.answer(await exchange.obey())
            return
        exchange.entry.rule_id = rule.id
        await STRATEGIES[rule.kind](exchange, rule)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work that outlives its connection; the set keeps it from being collected."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a late effect failed", exc_info=error)

    async def close(self) -> None:
        """Drop the late effects still to come: a marketplace that stops does nothing any more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def make_call(scope: Scope, body: bytes) -> Call:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    # The raw path keeps an encoded slash apart from a real one; segments are decoded one by one.
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    path = "/".join(unquote(segment) for segment in raw_path.partition(b"?")[0].decode("latin-1").split("/"))
    base_url = f"{scope.get('scheme', 'http')}://{headers.get('host', 'localhost')}"
    return Call(scope["method"], path, scope["query_string"].decode("latin-1"), headers, body, base_url)
