"""Doubles what is on the wires: every call of a connector, and every message on NATS."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Self

import grpc
import grpc.aio
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from stoflow_service_kit.grpc_channel import open_channel
from stoflow_service_kit.grpc_server import MAX_MESSAGE_BYTES

ECHO_HEADER = "Storm-Echo"
_LATE_SHARE = 0.3
_LATE_SECONDS = 2.0
_LOST_ANSWERS = 0.01
_CALL_SECONDS = 10.0
_AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
_SERVER_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
]


class _Later:
    """Runs what nobody waits for."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class CallDoubler(grpc.GenericRpcHandler):
    """Stands between connectors and two orchestrators; each gets every call, one of them perhaps seconds later.

    The connector hears one of the two answers, and sometimes none although both have obeyed.

    Attributes:
        address: What connectors call.
        sent: Second copies, by method.
        lost_answers: Answers that were withheld.
    """

    def __init__(self, targets: Sequence[str], draw: random.Random) -> None:
        self.address = ""
        self.sent: Counter[str] = Counter()
        self.lost_answers = 0
        self._targets = targets
        self._random = draw
        self._later = _Later()

    async def __aenter__(self) -> Self:
        self._channels = [open_channel(target) for target in self._targets]
        self._server = grpc.aio.server(options=_SERVER_OPTIONS)
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(None)
        await self._later.close()
        for channel in self._channels:
            await channel.close()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_unary_rpc_method_handler(partial(self._double, handler_call_details.method))

    async def _double(
        self, method: str, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> bytes:
        first, second = self._random.sample(self._channels, 2)
        delay = self._random.uniform(0, _LATE_SECONDS) if self._random.random() < _LATE_SHARE else 0.0
        self.sent[method.rpartition("/")[2]] += 1
        self._later.run(self._repeat(second, method, request, delay))
        try:
            answer = await self._send_to_either(first, second, method, request)
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))
        if self._random.random() < _LOST_ANSWERS:
            self.lost_answers += 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "The answer was lost.")
        return answer

    async def _send_to_either(
        self, first: grpc.aio.Channel, second: grpc.aio.Channel, method: str, request: bytes
    ) -> bytes:
        try:
            return await _send(first, method, request)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _AWAY:
                raise
            return await _send(second, method, request)

    async def _repeat(self, channel: grpc.aio.Channel, method: str, request: bytes, delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            await _send(channel, method, request)
        except grpc.aio.AioRpcError:
            # The copy is one more call whose answer nobody hears.
            return


async def _send(channel: grpc.aio.Channel, method: str, request: bytes) -> bytes:
    # The stubs cannot say that without serializers a message is bytes.
    call: Any = channel.unary_unary(method)
    answer: bytes = await call(request, timeout=_CALL_SECONDS)
    return answer


class MessageDoubler:
    """Publishes whatever is published once more, without the id that JetStream would know it by.

    Attributes:
        sent: Second copies, by the subject's second word.
    """

    def __init__(self, url: str, draw: random.Random) -> None:
        self.sent: Counter[str] = Counter()
        self._url = url
        self._random = draw
        self._later = _Later()

    async def __aenter__(self) -> Self:
        self._client: Client = await nats.connect(self._url)
        await self._client.subscribe("stoflow.>", cb=self._on_message)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._later.close()
        await self._client.close()

    async def _on_message(self, message: Msg) -> None:
        if ECHO_HEADER in (message.headers or {}):
            return
        delay = self._random.uniform(0, _LATE_SECONDS) if self._random.random() < _LATE_SHARE else 0.0
        self._later.run(self._repeat(message.subject, message.data, delay))

    async def _repeat(self, subject: str, data: bytes, delay: float) -> None:
        await asyncio.sleep(delay)
        await self._client.publish(subject, data, headers={ECHO_HEADER: "1"})
        self.sent[subject.split(".")[1]] += 1
