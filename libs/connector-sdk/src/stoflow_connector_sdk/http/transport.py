"""The fence in front of the network: no request starts that the task's lease does not cover."""

import asyncio
from typing import Any, cast

import httpx

from stoflow_connector_sdk.errors import EffectOutcome, LeaseTooShortError, StopRequestedError
from stoflow_connector_sdk.task import TaskContext, current_task

# Keys in a request's extensions: how long the whole exchange may take, body included; and the exchange
# itself.
TOTAL_TIMEOUT = "stoflow_total_timeout_seconds"
EXCHANGE = "stoflow_exchange"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_RESPONSE_BYTES = 64 * 1024 * 1024


class Exchange:
    """What is known of one request while it runs, and of the effect that it may have had."""

    __slots__ = ("_ends_at", "_may_have_acted", "_task", "_timeout_seconds", "is_unsafe")

    def __init__(self, request: httpx.Request, task: TaskContext | None, timeout_seconds: float) -> None:
        self.is_unsafe = request.method not in _SAFE_METHODS
        self._task = task
        self._timeout_seconds = timeout_seconds
        self._may_have_acted = False
        self._ends_at = 0.0

    def effect(self) -> EffectOutcome:
        """Returns NOT_SENT only when nothing that the attempt sent so far can have changed anything."""
        earlier = self._task is not None and self._task.state.possible_effects > 0
        return EffectOutcome.UNKNOWN if self._may_have_acted or earlier else EffectOutcome.NOT_SENT

    async def enter(self) -> None:
        """Makes sure that the whole exchange fits the lease, waiting for the next heartbeat if that helps.

        Raises:
            LeaseTooShortError: The lease leaves no room for it.
            StopRequestedError: The job was cancelled or paused, and the marketplace has done nothing yet.
        """
        if self._task is None:
            return
        try:
            await self._task.lease.wait_for_room(self._timeout_seconds)
            self._raise_if_stopped(self._task)
        except (LeaseTooShortError, StopRequestedError) as error:
            error.effect = self.effect()
            raise
        self._ends_at = self._task.clock.monotonic() + self._timeout_seconds

    def _check_first_byte(self) -> None:
        """Looks at the lease again: connecting took time, and the process may have been stopped meanwhile."""
        if self._task is None:
            return
        try:
            self._raise_if_stopped(self._task)
            left = self._ends_at - self._task.clock.monotonic()
            if left <= 0:
                raise LeaseTooShortError(
                    "The request's time was over before its first byte.", code="LEASE_TOO_SHORT"
                )
            self._task.lease.require(left)
        except (LeaseTooShortError, StopRequestedError) as error:
            error.effect = self.effect()
            raise

    @staticmethod
    def _raise_if_stopped(task: TaskContext) -> None:
        # After a possible effect a cancelled task goes on: its end tells what became of that effect.
        if not task.state.possible_effects:
            task.raise_if_stopped()

    async def trace(self, name: str, _info: dict[str, Any]) -> None:
        """Follows httpcore's steps; raising here stops the request."""
        if name == "http11.send_request_headers.started":
            self._check_first_byte()
            self._mark(self.is_unsafe)

    def answered(self, status: int) -> None:
        """Notes the answer: a request that was refused with 4xx changed nothing."""
        if 400 <= status < 500:
            self._mark(False)

    def _mark(self, may_have_acted: bool) -> None:
        if self._task is not None:
            self._task.state.possible_effects += int(may_have_acted) - int(self._may_have_acted)
        self._may_have_acted = may_have_acted


class LeaseTransport(httpx.AsyncBaseTransport):
    """Sends through another transport, within the task's lease and one timeout for the whole exchange."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        timeout_seconds = float(request.extensions[TOTAL_TIMEOUT])
        exchange = Exchange(request, current_task(), timeout_seconds)
        request.extensions = {**request.extensions, "trace": exchange.trace, EXCHANGE: exchange}
        await exchange.enter()
        try:
            async with asyncio.timeout(timeout_seconds):
                response = await self._inner.handle_async_request(request)
                body = await _read(response)
        except TimeoutError as error:
            raise httpx.ReadTimeout(f"no complete answer within {timeout_seconds:g} s") from error
        exchange.answered(response.status_code)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=httpx.ByteStream(body),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _read(response: httpx.Response) -> bytes:
    # Read here, under the timeout and the size limit, and not by the client, which has neither.
    parts: list[bytes] = []
    size = 0
    try:
        # The stream itself and not `aiter_raw`: a transport may hand over an answer that it has read already.
        async for part in cast("httpx.AsyncByteStream", response.stream):
            size += len(part)
            if size > _MAX_RESPONSE_BYTES:
                raise httpx.ReadError(f"the answer is larger than {_MAX_RESPONSE_BYTES} bytes")
            parts.append(part)
    finally:
        await response.aclose()
    return b"".join(parts)


def effect_after(request: httpx.Request) -> EffectOutcome:
    """Returns what a request, answered or not, lets one say about the effect of the task it was sent for.

    For an answered one: NOT_SENT when it was refused with 4xx, or only read, and nothing before it in the
    attempt can have changed anything; UNKNOWN otherwise.
    """
    exchange = request.extensions.get(EXCHANGE)
    if isinstance(exchange, Exchange):
        return exchange.effect()
    # It never reached the transport, so only what came before it counts.
    return effect_so_far()


def effect_so_far() -> EffectOutcome:
    """Returns what the requests of this attempt, the present one left aside, say about its effect."""
    task = current_task()
    return (
        EffectOutcome.UNKNOWN if task is not None and task.state.possible_effects else EffectOutcome.NOT_SENT
    )
