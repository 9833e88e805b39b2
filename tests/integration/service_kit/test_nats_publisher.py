import asyncio
import time

import nats.errors
import pytest
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NoStreamResponseError

from stoflow_sandbox.servers import NatsServer
from stoflow_service_kit.nats import NatsConnection
from stoflow_service_kit.nats_publisher import OutgoingMessage, PipelinedPublisher
from stoflow_service_kit.nats_streams import ensure_stream

STREAM = StreamConfig(name="EVENTS", subjects=["events.>"], duplicate_window=60)


def messages(count: int, prefix: str = "m") -> list[OutgoingMessage]:
    return [
        OutgoingMessage("events.a", b"x" * 150, message_id=f"{prefix}-{number}") for number in range(count)
    ]


async def stored(connection: NatsConnection) -> int:
    return (await connection.jetstream().stream_info("EVENTS")).state.messages


async def test_publishes_thousands_of_messages_a_second(connection: NatsConnection) -> None:
    """Twenty thousand messages with ids are all acknowledged, many thousands a second."""
    await ensure_stream(connection.jetstream(), STREAM)
    publisher = PipelinedPublisher(connection)
    rates: list[float] = []
    for run in range(3):
        started = time.perf_counter()
        assert await publisher.publish(messages(20_000, f"run-{run}")) == [None] * 20_000
        rates.append(20_000 / (time.perf_counter() - started))
        if rates[-1] > 15_000:
            break
    assert await stored(connection) == 20_000 * len(rates)
    # Coverage and a busy machine cost most of the speed; the plain measurement is more than twice this bound.
    assert max(rates) > 3_000


async def test_a_repeated_id_is_stored_once(connection: NatsConnection) -> None:
    """The same messages published twice are acknowledged twice and stored once."""
    await ensure_stream(connection.jetstream(), STREAM)
    publisher = PipelinedPublisher(connection)
    assert await publisher.publish(messages(10)) == [None] * 10
    assert await publisher.publish(messages(10)) == [None] * 10
    assert await stored(connection) == 10


async def test_keeps_the_order_of_one_call(connection: NatsConnection) -> None:
    """Messages of one call stand in the stream in the order they were given."""
    await ensure_stream(connection.jetstream(), STREAM)
    sent = [OutgoingMessage("events.a", str(number).encode()) for number in range(500)]
    await PipelinedPublisher(connection, max_unacknowledged=7).publish(sent)
    js = connection.jetstream()
    found = [(await js.get_msg("EVENTS", seq=seq)).data for seq in range(1, 501)]
    assert found == [message.payload for message in sent]


async def test_each_message_has_its_own_outcome(connection: NatsConnection) -> None:
    """A subject without a stream and a payload over the limit fail alone; their neighbours are stored."""
    await ensure_stream(connection.jetstream(), STREAM)
    outcomes = await PipelinedPublisher(connection).publish(
        [
            OutgoingMessage("events.a", b"1"),
            OutgoingMessage("nowhere.a", b"2"),
            OutgoingMessage("events.a", b"x" * (connection.max_payload + 1)),
            OutgoingMessage("events.a", b"4"),
        ]
    )
    assert outcomes[0] is None
    assert isinstance(outcomes[1], NoStreamResponseError)
    assert isinstance(outcomes[2], nats.errors.MaxPayloadError)
    assert outcomes[3] is None
    assert await stored(connection) == 2


async def test_the_streams_refusal_is_the_outcome(connection: NatsConnection) -> None:
    """A stream that refuses a message by its own limit says why in the outcome."""
    config = StreamConfig(name="EVENTS", subjects=["events.>"], max_msg_size=10)
    await ensure_stream(connection.jetstream(), config)
    (outcome,) = await PipelinedPublisher(connection).publish([OutgoingMessage("events.a", b"x" * 11)])
    assert isinstance(outcome, APIError)
    assert "size" in str(outcome)


async def test_lost_acknowledgements_time_out_and_free_their_slots(
    connection: NatsConnection, own_nats: NatsServer
) -> None:
    """With the server gone, more messages than slots time out together, and later publishing works."""
    await ensure_stream(connection.jetstream(), STREAM)
    publisher = PipelinedPublisher(connection, max_unacknowledged=5, ack_timeout_seconds=0.3)
    assert await publisher.publish(messages(3)) == [None] * 3
    own_nats.kill()
    started = time.monotonic()
    outcomes = await publisher.publish(messages(50, "lost"))
    assert time.monotonic() - started < 2
    assert all(isinstance(outcome, nats.errors.Error) for outcome in outcomes)
    own_nats.start()
    async with asyncio.timeout(10):
        while any(await publisher.publish(messages(20, "again"))):
            pass


async def test_a_cancelled_caller_frees_its_slots(connection: NatsConnection, own_nats: NatsServer) -> None:
    """Cancelling a caller that waits for acknowledgements leaves all slots to the next one."""
    await ensure_stream(connection.jetstream(), STREAM)
    publisher = PipelinedPublisher(connection, max_unacknowledged=5, ack_timeout_seconds=30)
    own_nats.kill()
    waiting = asyncio.create_task(publisher.publish(messages(20, "cancelled")))
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    own_nats.start()
    async with asyncio.timeout(15):
        assert await publisher.publish(messages(5, "next")) == [None] * 5


async def test_concurrent_first_callers_share_one_subscription(connection: NatsConnection) -> None:
    """Ten callers that publish at once through a new publisher all get their acknowledgements."""
    await ensure_stream(connection.jetstream(), STREAM)
    publisher = PipelinedPublisher(connection)
    results = await asyncio.gather(*(publisher.publish(messages(10, f"c{number}")) for number in range(10)))
    assert results == [[None] * 10] * 10
    await publisher.close()


async def test_ensure_stream_creates_changes_and_refuses(connection: NatsConnection) -> None:
    """The same configuration is accepted again, a changed one is applied, an impossible one is an error."""
    js = connection.jetstream()
    await ensure_stream(js, STREAM)
    await ensure_stream(js, STREAM)
    changed = await ensure_stream(js, STREAM.evolve(max_msgs=1_000))
    assert changed.config.max_msgs == 1_000
    with pytest.raises(APIError):
        await ensure_stream(js, STREAM.evolve(storage=StorageType.MEMORY))
    with pytest.raises(APIError):
        await ensure_stream(js, StreamConfig(name="OTHER", subjects=["events.>"]))
    assert (await js.stream_info("EVENTS")).config.retention == RetentionPolicy.LIMITS
