"""The fence around requests, with a network that is scripted: what it does is what httpcore does at that point."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from stoflow_connector_sdk import (
    EffectOutcome,
    LeaseTooShortError,
    MarketplaceHttpClient,
    RetryableError,
    StopRequestedError,
    TaskContext,
    effect_after,
    raise_for_common_status,
)
from stoflow_connector_sdk.task import set_current_task
from stoflow_connector_sdk.testing import FixedTokens, make_task_context
from stoflow_service_kit.clock import ManualClock

URL = "https://api.example/offer"
Step = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Wire(httpx.AsyncBaseTransport):
    """Sends nothing: calls the trace as httpcore does before the first byte, then does what a test says."""

    def __init__(self, *steps: Step | int | Exception) -> None:
        self.steps = list(steps)
        self.sent: list[httpx.Request] = []
        self.connecting: Callable[[], Awaitable[None]] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        step = self.steps.pop(0)
        if isinstance(step, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            raise step
        if self.connecting is not None:
            await self.connecting()
        await request.extensions["trace"]("http11.send_request_headers.started", {})
        self.sent.append(request)
        if isinstance(step, Exception):
            raise step
        if isinstance(step, int):
            return httpx.Response(step, content=b"{}")
        return await step(request)


@pytest.fixture
async def task() -> AsyncIterator[TaskContext]:
    """The running task, with a lease of 60 seconds on a clock that stands still."""
    context = make_task_context(clock=ManualClock())
    set_current_task(context)
    yield context
    set_current_task(None)


def use(context: TaskContext) -> None:
    # A fixture's context variables are not the test's.
    set_current_task(context)


def make_client(
    *steps: Step | int | Exception, timeout_seconds: float = 20.0
) -> tuple[MarketplaceHttpClient, Wire]:
    wire = Wire(*steps)
    return MarketplaceHttpClient(timeout_seconds=timeout_seconds, transport=wire), wire


async def test_request_that_does_not_fit_the_lease_is_not_sent(task: TaskContext) -> None:
    """A request whose timeout exceeds the remaining lease is refused before anything happens."""
    use(task)
    client, wire = make_client(200)
    with pytest.raises(LeaseTooShortError) as caught:
        await client.request("POST", URL, timeout_seconds=61)
    assert caught.value.effect is EffectOutcome.NOT_SENT
    assert wire.sent == []


async def test_request_within_the_lease_is_sent(task: TaskContext) -> None:
    """A request that fits goes out, and its answer comes back whole."""
    use(task)
    client, wire = make_client(200)
    response = await client.request("POST", URL, json={"a": 1}, timeout_seconds=60)
    assert (response.status_code, response.json()) == (200, {})
    assert wire.sent[0].content == b'{"a":1}'


async def test_lease_that_ran_out_while_connecting_stops_the_first_byte(task: TaskContext) -> None:
    """A process that was stopped between the check and the connection sends nothing when it goes on."""
    use(task)
    clock = task.clock
    assert isinstance(clock, ManualClock)
    client, wire = make_client(200)
    wire.connecting = lambda: clock.advance(50)
    with pytest.raises(LeaseTooShortError) as caught:
        await client.request("POST", URL)
    assert wire.sent == []
    assert caught.value.effect is EffectOutcome.NOT_SENT
    assert task.state.possible_effects == 0


async def test_lease_lost_while_connecting_stops_the_first_byte(task: TaskContext) -> None:
    """A lease that the orchestrator took while the connection was made lets nothing out."""
    use(task)
    client, wire = make_client(200)

    async def lose() -> None:
        task.lease.lose()

    wire.connecting = lose
    with pytest.raises(LeaseTooShortError) as caught:
        await client.request("POST", URL)
    assert wire.sent == []
    assert caught.value.effect is EffectOutcome.NOT_SENT


async def test_slow_connection_uses_up_the_requests_own_time(task: TaskContext) -> None:
    """Time spent connecting is part of the request's timeout, so a lease that just fits it still fits."""
    use(task)
    clock = task.clock
    assert isinstance(clock, ManualClock)
    client, wire = make_client(200)
    wire.connecting = lambda: clock.advance(5)
    await client.request("POST", URL, timeout_seconds=60)
    assert len(wire.sent) == 1


async def test_requests_outside_of_tasks_need_no_lease() -> None:
    """A token refresh or a start-up call is not fenced."""
    client, wire = make_client(200)
    await client.request("POST", URL, timeout_seconds=3600)
    assert len(wire.sent) == 1


@pytest.mark.parametrize(
    "failure", [httpx.ConnectError("refused"), httpx.ConnectTimeout(""), httpx.PoolTimeout("")]
)
async def test_failure_before_sending_is_not_sent(task: TaskContext, failure: Exception) -> None:
    """Without a connection not one byte left."""
    use(task)
    client, _ = make_client(failure)
    with pytest.raises(RetryableError, match=r"POST api\.example/offer got no answer") as caught:
        await client.request("POST", URL)
    assert caught.value.effect is EffectOutcome.NOT_SENT
    assert caught.value.code == "TRANSPORT_ERROR"


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ReadTimeout(""),
        httpx.WriteTimeout(""),
        httpx.WriteError("reset"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("closed without an answer"),
    ],
)
async def test_failure_after_sending_is_unknown(task: TaskContext, failure: Exception) -> None:
    """Once the first byte may have left, nobody knows."""
    use(task)
    client, _ = make_client(failure)
    with pytest.raises(RetryableError) as caught:
        await client.request("POST", URL)
    assert caught.value.effect is EffectOutcome.UNKNOWN
    assert task.state.possible_effects == 1


async def test_failed_read_is_not_an_effect(task: TaskContext) -> None:
    """A GET that got no answer changed nothing."""
    use(task)
    client, _ = make_client(httpx.ReadTimeout(""))
    with pytest.raises(RetryableError) as caught:
        await client.request("GET", URL)
    assert caught.value.effect is EffectOutcome.NOT_SENT


async def test_refusal_is_not_an_effect_and_an_outage_may_be(task: TaskContext) -> None:
    """After a 4xx the effect is NOT_SENT; after a 5xx it is UNKNOWN."""
    use(task)
    client, _ = make_client(400, 500)
    refused = await client.request("POST", URL)
    assert effect_after(refused.request) is EffectOutcome.NOT_SENT
    failed = await client.request("POST", URL)
    assert effect_after(failed.request) is EffectOutcome.UNKNOWN
    with pytest.raises(RetryableError) as caught:
        raise_for_common_status(failed)
    assert caught.value.effect is EffectOutcome.UNKNOWN


async def test_earlier_effect_of_the_attempt_is_not_forgotten(task: TaskContext) -> None:
    """After a change that went through, a later request that was not sent does not make the effect NOT_SENT."""
    use(task)
    client, _ = make_client(201, httpx.ConnectError("refused"), 400)
    await client.request("POST", URL)
    with pytest.raises(RetryableError) as caught:
        await client.request("POST", URL)
    assert caught.value.effect is EffectOutcome.UNKNOWN
    assert effect_after((await client.request("GET", URL)).request) is EffectOutcome.UNKNOWN
    with pytest.raises(LeaseTooShortError) as too_short:
        await client.request("POST", URL, timeout_seconds=100)
    assert too_short.value.effect is EffectOutcome.UNKNOWN


async def test_cancelled_job_sends_nothing_more(task: TaskContext) -> None:
    """After a cancellation no request starts as long as the marketplace has done nothing."""
    use(task)
    client, wire = make_client(200, 200)
    await client.request("GET", URL)
    task.state.request_stop("the job was cancelled")
    with pytest.raises(StopRequestedError) as caught:
        await client.request("POST", URL)
    assert caught.value.effect is EffectOutcome.NOT_SENT
    assert len(wire.sent) == 1


async def test_cancelled_job_finishes_what_it_began(task: TaskContext) -> None:
    """After a possible effect a cancelled attempt goes on, because its end tells what became of the effect."""
    use(task)
    client, wire = make_client(201, 200)
    await client.request("POST", URL)
    task.state.request_stop("the job was cancelled")
    await client.request("GET", URL)
    assert len(wire.sent) == 2


async def test_whole_exchange_has_one_timeout() -> None:
    """An answer that trickles in for longer than the timeout is cut off."""

    async def trickle(request: httpx.Request) -> httpx.Response:
        async def body() -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

        return httpx.Response(200, content=body())

    client, _ = make_client(trickle, timeout_seconds=0.01)
    with pytest.raises(RetryableError, match=r"no complete answer within 0\.01 s") as caught:
        await client.request("POST", URL)
    assert caught.value.effect is EffectOutcome.UNKNOWN


async def test_compressed_answers_are_decoded_once() -> None:
    """An answer with a content encoding arrives as text although the fence read it raw."""
    import gzip

    async def compressed(request: httpx.Request) -> httpx.Response:
        body = gzip.compress(b'{"a": 1}')
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(body))

    client, _ = make_client(compressed)
    assert (await client.request("GET", URL)).json() == {"a": 1}


async def test_refused_token_is_replaced_once(task: TaskContext) -> None:
    """A 401 brings a refreshed token and a second request with it."""
    use(task)
    client, wire = make_client(401, 200)
    context = make_task_context(token_source=FixedTokens("old-token", "new-token"))
    response = await client.request_authorized(context, "PUT", URL, json={}, headers={"x-a": "b"})
    assert response.status_code == 200
    assert [r.headers["authorization"] for r in wire.sent] == ["Bearer old-token", "Bearer new-token"]
    assert [r.headers["x-a"] for r in wire.sent] == ["b", "b"]


async def test_token_refused_after_its_refresh_needs_the_seller(task: TaskContext) -> None:
    """Two 401 in a row mean that refreshing does not help."""
    from stoflow_connector_sdk import AuthRequiredError

    use(task)
    client, wire = make_client(401, 401)
    with pytest.raises(AuthRequiredError) as caught:
        await client.request_authorized(task, "PUT", URL)
    assert caught.value.effect is EffectOutcome.NOT_SENT
    assert len(wire.sent) == 2
