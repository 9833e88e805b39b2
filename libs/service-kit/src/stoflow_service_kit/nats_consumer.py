"""Pulling messages from a JetStream consumer, without stalls and through restarts."""

import asyncio
import itertools
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import Header

from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.logs import get_logger
from stoflow_service_kit.nats import NatsConnection

log = get_logger(__name__)

# A request that nobody answers for this many heartbeats is lost.
_MISSED_HEARTBEATS = 3
_HEARTBEAT = "100"
_EXPIRED = "408"
_NO_MESSAGES = "404"


class PullConsumer:
    """Delivers the messages of one durable consumer, never more than there are free slots.

    There is at most one pull request on the server at any time, it is never given up on this side, and every
    message it brings is delivered. nats-py's `fetch` gives requests up when its own timer runs out first; the
    server then hands the next message to a request that nobody reads, which stalls it for `ack_wait`, or
    seconds of the next fetch. Needs permission only to publish to the consumer's MSG.NEXT subject and to its
    acknowledgement subjects, and to listen below the inbox prefix.
    """

    def __init__(
        self,
        connection: NatsConnection,
        stream: str,
        consumer: str,
        free_slots: Callable[[], int],
        *,
        max_batch: int = 256,
        expires_seconds: float = 30.0,
        heartbeat_seconds: float = 1.0,
        backoff: Backoff | None = None,
    ) -> None:
        """Prepares a consumer; it subscribes with the first `next_batch`.

        Args:
            connection: Whose reconnects it follows.
            stream: Name of the stream; it need not exist yet.
            consumer: Durable name of the consumer; it need not exist yet.
            free_slots: How many messages the caller takes now. A message counts as taken from the moment
                `next_batch` returns it; call `wake` when a slot comes free.
            max_batch: Most messages of one request.
            expires_seconds: How long a request waits on the server.
            heartbeat_seconds: How often the server says that a request still waits.
            backoff: Delays after requests that failed.
        """
        self._connection = connection
        self._name = f"{stream}/{consumer}"
        self._request_subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._free_slots = free_slots
        self._max_batch = max_batch
        self._expires_seconds = expires_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._backoff = backoff or Backoff(initial_seconds=0.1, maximum_seconds=2.0)
        self._inbox = connection.new_inbox()
        self._numbers = itertools.count()
        self._subscription: Subscription | None = None
        self._delivered: deque[Msg] = deque()
        self._stirred = asyncio.Event()
        self._stopped = False
        # The request on the server: its inbox (empty for none), what it may still bring, and signs of life.
        self._request = ""
        self._remaining = 0
        self._heard = 0.0
        self._reconnects = 0
        self._failures = 0
        self._not_before = 0.0

    def wake(self) -> None:
        """Tells that slots may have come free."""
        self._stirred.set()

    @property
    def is_healthy(self) -> bool:
        """Whether the last request was not refused and not lost."""
        return self._failures == 0

    async def __aiter__(self) -> AsyncIterator[Msg]:
        """Yields messages one by one; a message that was pulled and not yet yielded needs a free slot too."""
        while batch := await self.next_batch():
            for message in batch:
                yield message

    async def next_batch(self) -> list[Msg]:
        """Waits for messages and returns all that have arrived; an empty list means stopped.

        Raises:
            nats.errors.ConnectionClosedError: The connection was closed for good.
        """
        await self._subscribe()
        while not self._stopped:
            if self._connection.is_closed:
                raise nats.errors.ConnectionClosedError
            if self._delivered:
                return self._take_delivered()
            self._stirred.clear()
            self._check_request()
            if not self._request:
                await self._send_request()
            await self._wait()
        return []

    async def stop(self) -> None:
        """Ends the request and gives back what was not yet returned: other consumers get it at once."""
        self._stopped = True
        self._stirred.set()
        subscription, self._subscription = self._subscription, None
        if subscription is None or not self._connection.is_connected:
            return
        try:
            # Draining takes in what the server had sent before it heard of the end.
            await subscription.drain()  # type: ignore[no-untyped-call]
            for message in self._take_delivered():
                await message.nak()
        except nats.errors.Error as error:
            # The connection broke meanwhile; the server delivers them again after `ack_wait`.
            log.warning("pull_stop_incomplete", consumer=self._name, error=repr(error))

    def _take_delivered(self) -> list[Msg]:
        batch = list(self._delivered)
        self._delivered.clear()
        return batch

    async def _subscribe(self) -> None:
        if self._subscription is None and not self._stopped:
            self._subscription = await self._connection.subscribe(f"{self._inbox}.*", cb=self._on_message)

    async def _on_message(self, message: Msg) -> None:
        self._heard = time.monotonic()
        status = (message.headers or {}).get(Header.STATUS.value)
        if not message.data and status is not None:
            self._on_status(message, status)
            return
        self._delivered.append(message)
        self._failures = 0
        self._remaining -= 1
        if self._remaining <= 0:
            self._request = ""
        self._stirred.set()

    def _on_status(self, message: Msg, status: str) -> None:
        # Words about an older request change nothing: its inbox is not the current one.
        if message.subject != self._request or status == _HEARTBEAT:
            return
        self._request = ""
        if status in {_EXPIRED, _NO_MESSAGES}:
            self._failures = 0
        else:
            description = (message.headers or {}).get(Header.DESCRIPTION.value, "")
            self._fail(f"{status} {description}".strip())
        self._stirred.set()

    def _check_request(self) -> None:
        if not self._request:
            return
        reconnects = self._connection.stats["reconnects"]
        if reconnects != self._reconnects:
            # The old connection took the request along.
            self._request = ""
        elif time.monotonic() - self._heard > self._heartbeat_seconds * _MISSED_HEARTBEATS:
            self._request = ""
            self._fail("no answer: the consumer is gone, or this user may not pull from it")

    def _fail(self, reason: str) -> None:
        self._failures += 1
        delay = self._backoff.delay_seconds(self._failures)
        self._not_before = time.monotonic() + delay
        log.warning(
            "pull_failed",
            consumer=self._name,
            reason=reason,
            failures=self._failures,
            retry_in_seconds=round(delay, 2),
        )

    async def _send_request(self) -> None:
        size = min(self._free_slots(), self._max_batch)
        if size <= 0 or time.monotonic() < self._not_before or not self._connection.is_connected:
            return
        self._request = f"{self._inbox}.{next(self._numbers)}"
        self._remaining = size
        self._heard = time.monotonic()
        self._reconnects = self._connection.stats["reconnects"]
        body = {
            "batch": size,
            "expires": int(self._expires_seconds * 1e9),
            "idle_heartbeat": int(self._heartbeat_seconds * 1e9),
        }
        await self._connection.publish(self._request_subject, json.dumps(body).encode(), reply=self._request)

    async def _wait(self) -> None:
        # Woken by messages, statuses and `wake`; the timeout is for what stirs nobody: a silent server, a
        # reconnect, the end of a delay.
        timeout = min(self._heartbeat_seconds, max(self._not_before - time.monotonic(), 0.05))
        if self._request:
            timeout = self._heartbeat_seconds / 2
        try:
            async with asyncio.timeout(timeout):
                await self._stirred.wait()
        except TimeoutError:
            return
