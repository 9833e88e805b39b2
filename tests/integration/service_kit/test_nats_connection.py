import asyncio
from pathlib import Path

import pytest
import structlog
from nats.js.api import ConsumerConfig, StreamConfig
from tests.integration.service_kit.nats_process import NatsProcess
from tests.integration.service_kit.waiting import until

from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.nats import NatsPermissionError, connect_nats
from stoflow_service_kit.nats_consumer import PullConsumer
from stoflow_service_kit.nats_streams import ensure_consumer, ensure_stream
from stoflow_service_kit.startup import StartError

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
    process = NatsProcess(tmp_path)
    with structlog.testing.capture_logs() as logged:
        connecting = asyncio.create_task(connect_nats(process.url, "early", on_fatal=print, backoff=FAST))
        await asyncio.sleep(0.5)
    assert not connecting.done()
    assert len(logged) >= 2
    assert {line["address"] for line in logged} == {f"127.0.0.1:{process.port}"}
    process.start()
    try:
        async with asyncio.timeout(5):
            connection = await connecting
        assert connection.is_connected
        await connection.close()
    finally:
        process.kill()


async def test_gives_up_on_refused_credentials_without_printing_them(tmp_path: Path) -> None:
    """A wrong password is a start error that names the server, and no log line holds the password."""
    process = NatsProcess(tmp_path, RESTRICTED)
    process.start()
    url = f"nats://worker:wrong-password@127.0.0.1:{process.port}"
    try:
        with structlog.testing.capture_logs() as logged:
            async with asyncio.timeout(5):
                with pytest.raises(StartError, match=f"127.0.0.1:{process.port} refuses the credentials"):
                    await connect_nats(url, "stranger", on_fatal=print, backoff=FAST)
    finally:
        process.kill()
    assert logged
    assert "wrong-password" not in str(logged)


async def test_a_refused_subject_is_fatal(tmp_path: Path) -> None:
    """Publishing where the user may not is reported; the call itself would only time out."""
    process = NatsProcess(tmp_path, RESTRICTED)
    process.start()
    fatal: list[Exception] = []
    try:
        connection = await connect_nats(
            f"nats://worker:secret-worker@127.0.0.1:{process.port}", "worker", on_fatal=fatal.append
        )
        await connection.publish("elsewhere", b"x")
        await until(lambda: fatal)
        await connection.close()
    finally:
        process.kill()
    assert isinstance(fatal[0], NatsPermissionError)


async def test_a_user_who_may_only_bind_can_pull_and_acknowledge(tmp_path: Path) -> None:
    """Permission for the consumer's own subjects and inbox is enough to pull, acknowledge and stop."""
    process = NatsProcess(tmp_path, RESTRICTED)
    process.start()
    fatal: list[Exception] = []
    try:
        admin = await connect_nats(
            f"nats://admin:secret-admin@127.0.0.1:{process.port}", "admin", on_fatal=fatal.append
        )
        js = admin.jetstream()
        await ensure_stream(js, StreamConfig(name="TASKS", subjects=["tasks.>"]))
        await ensure_consumer(js, "TASKS", ConsumerConfig(durable_name="worker", ack_wait=5))
        await js.publish("tasks.a", b"x")
        worker = await connect_nats(
            f"nats://worker:secret-worker@127.0.0.1:{process.port}",
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
    finally:
        process.kill()
    assert fatal == []


async def test_reconnects_to_a_server_that_was_away(nats_process: NatsProcess) -> None:
    """A connection whose server is killed and started again works again, and nothing fatal is reported."""
    fatal: list[Exception] = []
    connection = await connect_nats(nats_process.url, "patient", on_fatal=fatal.append, backoff=FAST)
    nats_process.kill()
    await until(lambda: not connection.is_connected)
    await asyncio.sleep(0.3)
    nats_process.start()
    await until(lambda: connection.is_connected)
    await connection.flush()
    await connection.close()
    assert fatal == []
