from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from stoflow_sandbox.servers import NatsServer
from stoflow_service_kit.nats import NatsConnection, connect_nats


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A server of this test alone, which it may kill and start again."""
    with NatsServer(tmp_path / "store") as server:
        yield server


@pytest.fixture
async def connection(own_nats: NatsServer) -> AsyncIterator[NatsConnection]:
    """A connection to the test's own server; a fatal event fails the test at its end."""
    fatal: list[Exception] = []
    connected = await connect_nats(own_nats.url, "test", on_fatal=fatal.append)
    yield connected
    await connected.close()
    assert fatal == []
