"""Publishing many messages to JetStream without waiting for each acknowledgement."""

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import Header
from nats.js.errors import APIError, NoStreamResponseError

# Lets the writer and the reader run: publishing itself never gives way to them.
_YIELD_EVERY = 64


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message for JetStream.

    Attributes:
        subject: Where to.
        payload: At most the server's limit, 1 MiB by default.
        message_id: The stream drops a message whose id it saw within its duplicate window; empty for none.
        headers: More headers.
    """

    subject: str
    payload: bytes
    message_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class PipelinedPublisher:
    """Publishes with a bound of unacknowledged messages, shared by all callers.

    nats-py's own `publish_async` is not used: an acknowledgement that a disconnect swallowed keeps its slot
    and its future for ever, and a caller's cancellation turns into an error about stalled messages.
    """

    def __init__(
        self, connection: Client, *, max_unacknowledged: int = 2_000, ack_timeout_seconds: float = 5.0
    ) -> None:
        """Prepares a publisher; it subscribes with the first message.

        Args:
            connection: Whose inbox prefix must be allowed to this user.
            max_unacknowledged: Most messages on their way.
            ack_timeout_seconds: After it a message counts as failed, although it may have arrived.
        """
        self._connection = connection
        self._room = asyncio.Semaphore(max_unacknowledged)
        self._ack_timeout_seconds = ack_timeout_seconds
        self._prefix = connection.new_inbox() + "."
        self._numbers = itertools.count()
        self._pending: dict[str, asyncio.Future[Exception | None]] = {}
        self._subscription: Subscription | None = None
        self._subscribing = asyncio.Lock()

    async def publish(self, messages: Sequence[OutgoingMessage]) -> list[Exception | None]:
        """Publishes messages in their order and waits until each is stored or failed.

        Returns:
            For each message None once the stream has it (or had it before, by its id), or the error. After an
            error the message may have arrived all the same: publish it again with the same id.
        """
        await self._subscribe()
        sent: list[tuple[str, asyncio.Future[Exception | None]]] = []
        stalled = False
        try:
            for index, message in enumerate(messages):
                if index % _YIELD_EVERY == _YIELD_EVERY - 1:
                    await asyncio.sleep(0)
                # This very call may hold the slots: once none came free in time, the rest fails at once.
                stalled = not await self._take_room(0 if stalled else self._ack_timeout_seconds)
                sent.append(await self._send(message, has_room=not stalled))
            outcomes = [outcome for _, outcome in sent]
            if outcomes:
                await asyncio.wait(outcomes, timeout=self._ack_timeout_seconds)
            return [
                outcome.result() if outcome.done() else nats.errors.TimeoutError() for outcome in outcomes
            ]
        finally:
            for token, outcome in sent:
                self._forget(token, outcome)

    async def close(self) -> None:
        """Stops listening for acknowledgements."""
        if self._subscription is not None and not self._connection.is_closed:
            await self._subscription.unsubscribe()
        self._subscription = None

    async def _take_room(self, timeout_seconds: float) -> bool:
        if not self._room.locked():
            # A plain acquire: a timeout costs more than the message.
            return await self._room.acquire()
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._room.acquire()
        except TimeoutError:
            return False

    async def _send(
        self, message: OutgoingMessage, *, has_room: bool
    ) -> tuple[str, asyncio.Future[Exception | None]]:
        outcome: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        token = format(next(self._numbers), "x")
        if not has_room:
            outcome.set_result(nats.errors.TimeoutError())
            return token, outcome
        self._pending[token] = outcome
        headers = dict(message.headers)
        if message.message_id:
            headers[Header.MSG_ID.value] = message.message_id
        try:
            await self._connection.publish(
                message.subject, message.payload, reply=self._prefix + token, headers=headers or None
            )
        except nats.errors.Error as error:
            # Each message has its own outcome: one that is too large must not stop the others.
            outcome.set_result(error)
            self._forget(token, outcome)
        return token, outcome

    async def _subscribe(self) -> None:
        if self._subscription is not None:
            return
        async with self._subscribing:
            if self._subscription is None:
                self._subscription = await self._connection.subscribe(self._prefix + "*", cb=self._on_ack)

    async def _on_ack(self, message: Msg) -> None:
        token = message.subject[len(self._prefix) :]
        outcome = self._pending.get(token)
        if outcome is None or outcome.done():
            return
        outcome.set_result(_error_of(message))
        self._forget(token, outcome)

    def _forget(self, token: str, outcome: asyncio.Future[Exception | None]) -> None:
        if self._pending.pop(token, None) is outcome:
            self._room.release()


def _error_of(message: Msg) -> Exception | None:
    if message.headers and message.headers.get(Header.STATUS.value) == "503":
        return NoStreamResponseError()
    # An acknowledgement is {"stream":…,"seq":…}; parsing each costs a tenth of the throughput.
    if b'"error"' not in message.data:
        return None
    try:
        body = json.loads(message.data)
    except ValueError as error:
        return error
    return _api_error(body["error"]) if "error" in body else None


def _api_error(body: dict[str, object]) -> Exception:
    try:
        APIError.from_error(body)
    except APIError as error:
        return error
    return APIError(description=str(body))
