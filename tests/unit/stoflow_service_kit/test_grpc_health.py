import asyncio
from typing import Any

import pytest
from grpc_health.v1 import health_pb2

from stoflow_service_kit.clock import settle
from stoflow_service_kit.errors import NotFoundError
from stoflow_service_kit.grpc_health import NOT_SERVING, SERVING, HealthServicer


class Watcher:
    """Stands in for gRPC's context: keeps what is written."""

    def __init__(self) -> None:
        self.statuses: list[int] = []

    async def write(self, reply: Any) -> None:
        self.statuses.append(reply.status)


def watch(servicer: HealthServicer, service: str) -> tuple[Watcher, asyncio.Task[None]]:
    watcher: Any = Watcher()
    request = health_pb2.HealthCheckRequest(service=service)
    return watcher, asyncio.create_task(servicer.Watch(request, watcher))


async def test_a_watch_tells_each_change_once_and_ends_when_draining() -> None:
    """Watches of a known and an unknown service follow the changes, ending with NOT_SERVING."""
    servicer = HealthServicer()
    servicer.set("a", NOT_SERVING)
    known, known_task = watch(servicer, "a")
    unknown, unknown_task = watch(servicer, "b")
    await settle()
    servicer.set_all(SERVING)
    await settle()
    servicer.set_all(SERVING)
    await settle()
    servicer.enter_graceful_shutdown()
    await asyncio.gather(known_task, unknown_task)
    assert known.statuses == [NOT_SERVING, SERVING, NOT_SERVING]
    assert unknown.statuses == [health_pb2.HealthCheckResponse.SERVICE_UNKNOWN]


async def test_nothing_serves_again_once_draining() -> None:
    """A late `set` does not undo the drain, and a new watch ends at once."""
    servicer = HealthServicer()
    servicer.set_all(SERVING)
    assert servicer.is_serving is True
    servicer.enter_graceful_shutdown()
    servicer.set_all(SERVING)
    serving: bool = servicer.is_serving
    assert not serving
    watcher, task = watch(servicer, "")
    await task
    assert watcher.statuses == [NOT_SERVING]


async def test_an_unknown_service_is_not_found() -> None:
    """A check of a service that this server does not have is an error of its own."""
    request = health_pb2.HealthCheckRequest(service="x")
    context: Any = Watcher()
    with pytest.raises(NotFoundError):
        await HealthServicer().Check(request, context)
