import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from nats.js.api import ConsumerConfig, StreamConfig

from stoflow_sandbox.servers import NatsServer
from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.nats import NatsPermissionError, connect_nats, nats_address
from stoflow_service_kit.nats_consumer import PullConsumer
from stoflow_service_kit.nats_streams import ensure_consumer, ensure_stream
from stoflow_service_kit.startup import StartError
from tests.integration.service_kit.waiting import until

FAST = Backoff(initial_seconds=0.05, maximum_seconds=0.2)

RESTRICTED = """
authorization { users: [
  { user: admin, password: secret-admin }
  { user: worker, password: secret-worker, permissions: {
      publish:   { allow: ["$JS.API.CONSUMER.MSG.NEXT.TASKS.worker", "$JS.ACK.TASKS.worker.>"] }
      subscribe: { allow: ["_INBOX_worker.>"] } } } ] }
"""


async def test_waits_for_a_server_that_starts_later_and_names_it(tmp_path: Path) -> None:
    """A connection begun before the server is there is made once it is, and the log names the address."""
    server = NatsServer(tmp_path / "store")
    # Its port is kept, so the address is known while nobody listens.
    server.start()
    server.stop()
    with structlog.testing.capture_logs() as logged:
        connecting = asyncio.create_task(connect_nats(server.url, "early", on_fatal=print, backoff=FAST))
        await asyncio.sleep(0.5)
    assert not connecting.done()
    assert len(logged) >= 2
    assert {line["address"] for line in logged} == {nats_address(server.url)}
    with server:
        async with asyncio.timeout(5):
            connection = await connecting
        assert connection.is_connected
        await connection.close()


@pytest.fixture
def restricted(tmp_path: Path) -> Iterator[NatsServer]:
    """A server with an administrator and a worker who may only pull from its consumer."""
    config = tmp_path / "nats.conf"
    config.write_text(RESTRICTED)
    with NatsServer(tmp_path / "store", config_file=config) as server:
        yield server


def url_for(server: NatsServer, user: str, password: str) -> str:
    return server.url.replace("nats://", f"nats://{user}:{password}@")


async def test_gives_up_on_refused_credentials_without_printing_them(restricted: NatsServer) -> None:
    """A wrong password is a start error that names the server, and no log line holds the password."""
    url = url_for(restricted, "worker", "wrong-password")
    expected = f"{nats_address(restricted.url)} refuses the credentials"
    with structlog.testing.capture_logs() as logged:
        async with asyncio.timeout(5):
            with pytest.raises(StartError, match=expected):
                await connect_nats(url, "stranger", on_fatal=print, backoff=FAST)
    assert logged
    assert "wrong-password" not in str(logged)


async def test_a_refused_subject_is_fatal(restricted: NatsServer) -> None:
    """Publishing where the user may not is reported; the call itself would only time out."""
    fatal: list[Exception] = []
    url = url_for(restricted, "worker", "secret-worker")
    connection = await connect_nats(url, "worker", on_fatal=fatal.append)
    await connection.publish("elsewhere", b"x")
    await until(lambda: fatal)
    await connection.close()
    assert isinstance(fatal[0], NatsPermissionError)


async def test_a_user_who_may_only_bind_can_pull_and_acknowledge(restricted: NatsServer) -> None:
    """Permission for the consumer's own subjects and inbox is enough to pull, acknowledge and stop."""
    fatal: list[Exception] = []
    admin = await connect_nats(url_for(restricted, "admin", "secret-admin"), "admin", on_fatal=fatal.append)
    js = admin.jetstream()
    await ensure_stream(js, StreamConfig(name="TASKS", subjects=["tasks.>"]))
    await ensure_consumer(js, "TASKS", ConsumerConfig(durable_name="worker", ack_wait=5))
    await js.publish("tasks.a", b"x")
    worker = await connect_nats(
        url_for(restricted, "worker", "secret-worker"),
        "worker",
        on_fatal=fatal.append,
        inbox_prefix="_INBOX_worker",
    )
    consumer = PullConsumer(worker, "TASKS", "worker", lambda: 4)
    async with asyncio.timeout(5):
        (message,) = await consumer.next_batch()
        await message.ack()
        await consumer.stop()
        while (await js.consumer_info("TASKS", "worker")).num_ack_pending:
            pass
    await worker.close()
    await admin.close()
    assert fatal == []


async def test_reconnects_to_a_server_that_was_away(own_nats: NatsServer) -> None:
    """A connection whose server is killed and started again works again, and nothing fatal is reported."""
    fatal: list[Exception] = []
    connection = await connect_nats(own_nats.url, "patient", on_fatal=fatal.append, backoff=FAST)
    own_nats.kill()
    await until(lambda: not connection.is_connected)
    await asyncio.sleep(0.3)
    own_nats.start()
    await until(lambda: connection.is_connected)
    await connection.flush()
    await connection.close()
    assert fatal == []


async def test_a_wait_for_the_server_can_be_cancelled(tmp_path: Path) -> None:
    """A service told to stop while it waits for NATS stops waiting, and leaves no task behind."""
    server = NatsServer(tmp_path / "store")
    server.start()
    server.stop()
    before = asyncio.all_tasks()
    connecting = asyncio.create_task(connect_nats(server.url, "early", on_fatal=print, backoff=FAST))
    await asyncio.sleep(0.2)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert asyncio.all_tasks() == before
