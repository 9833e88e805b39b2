from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.integration.service_kit.nats_process import NatsProcess

from stoflow_service_kit.nats import NatsConnection, connect_nats


@pytest.fixture
def nats_process(tmp_path: Path) -> Iterator[NatsProcess]:
    """A server of this test alone, which it may kill and start again."""
    process = NatsProcess(tmp_path)
    process.start()
    yield process
    process.kill()


@pytest.fixture
async def connection(nats_process: NatsProcess) -> AsyncIterator[NatsConnection]:
    """A connection to the test's own server; a fatal event fails the test at its end."""
    fatal: list[Exception] = []
    connected = await connect_nats(nats_process.url, "test", on_fatal=fatal.append)
    yield connected
    await connected.close()
    assert fatal == []
