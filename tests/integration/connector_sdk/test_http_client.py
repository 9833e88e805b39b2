"""The client over real sockets: what httpcore really does decides whether a request counts as sent."""

import asyncio
import socket

import pytest

from stoflow_connector_sdk import EffectOutcome, MarketplaceHttpClient, RetryableError, TaskContext
from stoflow_connector_sdk.task import set_current_task
from stoflow_connector_sdk.testing import make_task_context
from tests.integration.connector_sdk.remote import OK, Remote


@pytest.fixture
def task() -> TaskContext:
    """A task with a lease of a minute."""
    return make_task_context()


async def outcome(client: MarketplaceHttpClient, task: TaskContext, method: str, url: str) -> EffectOutcome:
    set_current_task(task)
    try:
        with pytest.raises(RetryableError) as caught:
            await client.request(method, url, json={})
    finally:
        set_current_task(None)
        await client.aclose()
    return caught.value.effect


async def test_refused_connection_is_not_sent(task: TaskContext) -> None:
    """Nobody listens: nothing left."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/offer"
        assert await outcome(MarketplaceHttpClient(), task, "POST", url) is EffectOutcome.NOT_SENT


async def test_unknown_name_is_not_sent(task: TaskContext) -> None:
    """A host that does not exist was never reached."""
    url = "http://no-such-host.invalid/offer"
    assert await outcome(MarketplaceHttpClient(), task, "POST", url) is EffectOutcome.NOT_SENT


async def test_full_listen_queue_is_not_sent(task: TaskContext) -> None:
    """A connection that is never accepted times out before the first byte."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        client = MarketplaceHttpClient(timeout_seconds=5, connect_timeout_seconds=0.3)
        url = f"http://127.0.0.1:{address[1]}/offer"
        assert await outcome(client, task, "POST", url) is EffectOutcome.NOT_SENT
        for filler in fillers:
            filler.close()


async def test_silence_after_the_request_is_unknown(task: TaskContext) -> None:
    """A request that was received and not answered may have had its effect."""

    async def silence(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1)

    async with Remote() as remote:
        remote.replies["/offer"] = silence
        client = MarketplaceHttpClient(timeout_seconds=0.2)
        assert await outcome(client, task, "POST", f"{remote.url}/offer") is EffectOutcome.UNKNOWN
    assert remote.requests == ["POST /offer"]


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{"])
async def test_connection_cut_after_the_request_is_unknown(task: TaskContext, sent: bytes) -> None:
    """Wherever in the answer the connection breaks, the request had been received."""

    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()
        writer.transport.abort()

    async with Remote() as remote:
        remote.replies["/offer"] = cut
        assert (
            await outcome(MarketplaceHttpClient(), task, "POST", f"{remote.url}/offer")
            is EffectOutcome.UNKNOWN
        )


async def test_kept_connection_that_the_server_closed_is_unknown(task: TaskContext) -> None:
    """A request on a connection that is just being closed may have been read, so it is not taken for unsent."""

    async def answer_then_cut_the_next(writer: asyncio.StreamWriter) -> None:
        writer.write(OK)

    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with Remote() as remote:
        remote.replies["/first"] = answer_then_cut_the_next
        remote.replies["/offer"] = cut
        client = MarketplaceHttpClient()
        await client.request("GET", f"{remote.url}/first")
        assert await outcome(client, task, "POST", f"{remote.url}/offer") is EffectOutcome.UNKNOWN
    assert remote.requests == ["GET /first", "POST /offer"]


async def test_endless_answer_ends_with_the_timeout() -> None:
    """A server that sends a byte at a time does not hold an attempt beyond the timeout."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with Remote() as remote:
        remote.replies["/offer"] = drip
        client = MarketplaceHttpClient(timeout_seconds=0.3)
        async with asyncio.timeout(3):
            with pytest.raises(RetryableError, match=r"no complete answer within 0\.3 s"):
                await client.request("GET", f"{remote.url}/offer")
        await client.aclose()


async def test_environment_proxies_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy variable of the machine does not redirect calls to a configured marketplace."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with Remote() as remote:
        client = MarketplaceHttpClient()
        assert (await client.request("GET", f"{remote.url}/x")).status_code == 200
        await client.aclose()
