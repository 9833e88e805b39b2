import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig

from stoflow_sandbox.servers import NatsServer
from stoflow_service_kit.nats import NatsConnection, connect_nats
from stoflow_service_kit.nats_consumer import PullConsumer
from stoflow_service_kit.nats_publisher import OutgoingMessage, PipelinedPublisher
from stoflow_service_kit.nats_streams import ensure_consumer, ensure_stream
from tests.integration.service_kit.waiting import until

STREAM = StreamConfig(name="TASKS", subjects=["tasks.>"], retention=RetentionPolicy.WORK_QUEUE)
CONSUMER = ConsumerConfig(durable_name="worker", ack_wait=30, max_ack_pending=10_000)


@pytest.fixture
async def stream(connection: NatsConnection) -> NatsConnection:
    """A connection to a server that has the stream and its consumer."""
    await ensure_stream(connection.jetstream(), STREAM)
    await ensure_consumer(connection.jetstream(), "TASKS", CONSUMER)
    return connection


@contextlib.asynccontextmanager
async def collecting(
    consumer: PullConsumer, arrivals: list[tuple[bytes, float]]
) -> AsyncIterator[asyncio.Task[None]]:
    async def collect() -> None:
        async for message in consumer:
            arrivals.append((message.data, time.monotonic()))
            await message.ack()

    task = asyncio.create_task(collect())
    try:
        yield task
    finally:
        await consumer.stop()
        await task


async def test_trickled_messages_reach_three_consumers_without_stalls(
    stream: NatsConnection, own_nats: NatsServer
) -> None:
    """Three consumers that share one durable get each of 60 trickled messages within a second, once."""
    connections = [
        await connect_nats(own_nats.url, f"worker-{number}", on_fatal=print) for number in range(3)
    ]
    # Short requests, so that many expire and are renewed between the messages: that is where requests linger.
    consumers = [
        PullConsumer(
            each, "TASKS", "worker", lambda: 8, max_batch=8, expires_seconds=0.5, heartbeat_seconds=0.2
        )
        for each in connections
    ]
    arrivals: list[tuple[bytes, float]] = []
    published: dict[bytes, float] = {}
    async with contextlib.AsyncExitStack() as stack:
        for consumer in consumers:
            await stack.enter_async_context(collecting(consumer, arrivals))
        for number in range(60):
            payload = str(number).encode()
            published[payload] = time.monotonic()
            await stream.jetstream().publish("tasks.a", payload)
            await asyncio.sleep(0.06)
        await until(lambda: len(arrivals) == 60)
    for each in connections:
        await each.close()
    assert sorted(data for data, _ in arrivals) == sorted(published)
    assert max(arrived - published[data] for data, arrived in arrivals) < 1.0


async def test_a_stopped_consumer_leaves_nothing_for_its_peer_to_wait_for(stream: NatsConnection) -> None:
    """Messages that come after one of two consumers stopped reach the other at once, not after `ack_wait`."""
    gone = PullConsumer(stream, "TASKS", "worker", lambda: 5)
    waiting = asyncio.create_task(gone.next_batch())
    await asyncio.sleep(0.2)
    await gone.stop()
    assert await waiting == []
    arrivals: list[tuple[bytes, float]] = []
    async with collecting(PullConsumer(stream, "TASKS", "worker", lambda: 5), arrivals):
        started = time.monotonic()
        for number in range(10):
            await stream.jetstream().publish("tasks.a", str(number).encode())
        await until(lambda: len(arrivals) == 10, 5)
    assert max(arrived - started for _, arrived in arrivals) < 1.0


async def test_stop_gives_back_what_was_delivered_and_not_taken(stream: NatsConnection) -> None:
    """Messages that a stopping consumer had received and not returned reach its peer at once."""
    stopping = PullConsumer(stream, "TASKS", "worker", lambda: 5)
    waiting = asyncio.create_task(stopping.next_batch())
    await asyncio.sleep(0.1)
    for number in range(5):
        await stream.jetstream().publish("tasks.a", str(number).encode())
    taken = {message.data for message in await waiting}
    await asyncio.sleep(0.1)
    await stopping.stop()
    arrivals: list[tuple[bytes, float]] = []
    async with collecting(PullConsumer(stream, "TASKS", "worker", lambda: 5), arrivals):
        await until(lambda: len(arrivals) == 5 - len(taken), 5)
    assert taken | {data for data, _ in arrivals} == {b"0", b"1", b"2", b"3", b"4"}


async def test_never_more_messages_than_free_slots(stream: NatsConnection) -> None:
    """With three slots and twenty waiting messages no more than three are out at any time."""
    for number in range(20):
        await stream.jetstream().publish("tasks.a", str(number).encode())
    running = 0
    most = 0
    done = 0
    consumer = PullConsumer(stream, "TASKS", "worker", lambda: 3 - running)
    while done < 20:
        batch = await consumer.next_batch()
        running += len(batch)
        most = max(most, running)
        for message in batch:
            await message.ack()
        running -= len(batch)
        done += len(batch)
        consumer.wake()
    await consumer.stop()
    assert most == 3


async def test_waits_for_a_free_slot_and_goes_on_when_woken(stream: NatsConnection) -> None:
    """Without a free slot nothing is pulled; a wake after one came free brings the message."""
    slots = 0
    consumer = PullConsumer(stream, "TASKS", "worker", lambda: slots)
    await stream.jetstream().publish("tasks.a", b"x")
    waiting = asyncio.create_task(consumer.next_batch())
    await asyncio.sleep(0.3)
    assert not waiting.done()
    info = await stream.jetstream().consumer_info("TASKS", "worker")
    assert info.num_waiting == 0
    slots = 1
    consumer.wake()
    async with asyncio.timeout(1):
        (message,) = await waiting
    await message.ack()
    await consumer.stop()


async def test_goes_on_after_the_server_was_killed_and_restarted(
    stream: NatsConnection, own_nats: NatsServer
) -> None:
    """Messages published after a SIGKILL and restart of the server arrive within seconds."""
    arrivals: list[tuple[bytes, float]] = []
    async with collecting(PullConsumer(stream, "TASKS", "worker", lambda: 10), arrivals):
        await stream.jetstream().publish("tasks.a", b"before")
        await until(lambda: len(arrivals) == 1)
        own_nats.kill()
        await asyncio.sleep(0.5)
        own_nats.start()
        await until(lambda: stream.is_connected)
        restarted = time.monotonic()
        await stream.jetstream().publish("tasks.a", b"after")
        await until(lambda: len(arrivals) == 2, 10)
    assert arrivals[1][0] == b"after"
    assert arrivals[1][1] - restarted < 3.0


async def test_backs_off_while_the_stream_is_gone_and_goes_on_when_it_is_back(stream: NatsConnection) -> None:
    """A deleted stream makes requests fail at once; the consumer slows down and finds the stream again."""
    requests = 0
    consumer = PullConsumer(stream, "TASKS", "worker", lambda: 10)
    arrivals: list[tuple[bytes, float]] = []
    counter = await stream.subscribe("$JS.API.CONSUMER.MSG.NEXT.TASKS.worker")
    async with collecting(consumer, arrivals):
        await until(lambda: counter.delivered >= 1)
        before = counter.delivered
        await stream.jetstream().delete_stream("TASKS")
        await until(lambda: not consumer.is_healthy)
        await asyncio.sleep(2)
        requests = counter.delivered - before
        await ensure_stream(stream.jetstream(), STREAM)
        await ensure_consumer(stream.jetstream(), "TASKS", CONSUMER)
        await stream.jetstream().publish("tasks.a", b"again")
        await until(lambda: len(arrivals) == 1)
        assert consumer.is_healthy
    await counter.unsubscribe()
    # 0.1 s doubling to 2 s, at least half of each delay: an immediate retry would make thousands.
    assert 1 <= requests <= 8


async def test_goes_on_after_the_consumer_was_deleted_and_made_again(stream: NatsConnection) -> None:
    """A consumer deleted under an open request is noticed, and pulled from again once it is back."""
    consumer = PullConsumer(stream, "TASKS", "worker", lambda: 10)
    arrivals: list[tuple[bytes, float]] = []
    async with collecting(consumer, arrivals):
        await asyncio.sleep(0.2)
        await stream.jetstream().delete_consumer("TASKS", "worker")
        await until(lambda: not consumer.is_healthy)
        await ensure_consumer(stream.jetstream(), "TASKS", CONSUMER)
        await stream.jetstream().publish("tasks.a", b"x")
        await until(lambda: len(arrivals) == 1)


async def test_closing_the_connection_ends_the_wait(stream: NatsConnection, own_nats: NatsServer) -> None:
    """A consumer whose connection was closed for good raises instead of waiting for ever."""
    own = await connect_nats(own_nats.url, "short-lived", on_fatal=print)
    waiting = asyncio.create_task(PullConsumer(own, "TASKS", "worker", lambda: 1).next_batch())
    await asyncio.sleep(0.1)
    await own.close()
    async with asyncio.timeout(3):
        with pytest.raises(Exception, match="connection closed"):
            await waiting


async def test_a_busy_consumer_keeps_up(stream: NatsConnection) -> None:
    """Five thousand waiting messages are pulled and acknowledged at thousands a second, each once."""
    publisher = PipelinedPublisher(stream)
    outcomes = await publisher.publish(
        [OutgoingMessage("tasks.a", str(number).encode()) for number in range(5_000)]
    )
    assert outcomes == [None] * 5_000
    arrivals: list[tuple[bytes, float]] = []
    started = time.monotonic()
    async with collecting(PullConsumer(stream, "TASKS", "worker", lambda: 100), arrivals):
        await until(lambda: len(arrivals) == 5_000)
    assert len({data for data, _ in arrivals}) == 5_000
    assert time.monotonic() - started < 5


async def test_goes_on_after_the_server_froze(stream: NatsConnection, own_nats: NatsServer) -> None:
    """A server that stops answering for a while delivers again on the same connection, once."""
    consumer = PullConsumer(stream, "TASKS", "worker", lambda: 10, heartbeat_seconds=0.2)
    arrivals: list[tuple[bytes, float]] = []
    async with collecting(consumer, arrivals):
        await asyncio.sleep(0.2)
        own_nats.suspend()
        await until(lambda: not consumer.is_healthy)
        own_nats.resume()
        await stream.jetstream().publish("tasks.a", b"x")
        await until(lambda: len(arrivals) == 1, 5)
        await asyncio.sleep(1)
        assert consumer.is_healthy
        assert len(arrivals) == 1
