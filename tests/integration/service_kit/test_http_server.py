import asyncio
import signal
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from stoflow_service_kit.http_server import HttpServer, create_app
from stoflow_service_kit.metrics import new_registry
from stoflow_service_kit.startup import StartError


async def hello(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


@pytest.fixture
async def server() -> AsyncIterator[tuple[HttpServer, dict[str, bool]]]:
    """A started server on a free port, with a switch for its health."""
    registry = new_registry()
    Counter("things", "Things.", registry=registry).inc(3)
    health = {"ok": True}
    app = create_app(registry, lambda: health["ok"], [Route("/hello", hello)])
    running = HttpServer("127.0.0.1:0", app)
    await running.start()
    yield running, health
    await running.stop()


async def test_serves_metrics_health_and_the_services_own_routes(
    server: tuple[HttpServer, dict[str, bool]],
) -> None:
    """The real port is returned; metrics, health in both states and an own route answer there."""
    running, health = server
    assert not running.address.endswith(":0")
    async with httpx.AsyncClient(base_url=f"http://{running.address}", trust_env=False) as client:
        metrics = await client.get("/metrics")
        assert "things_total 3.0" in metrics.text
        assert "process_cpu_seconds_total" in metrics.text
        assert (await client.get("/healthz")).status_code == 200
        health["ok"] = False
        failing = await client.get("/healthz")
        assert (failing.status_code, failing.json()) == (503, {"status": "NOT_SERVING"})
        assert (await client.get("/hello")).text == "hello"


async def test_leaves_the_signals_to_the_service() -> None:
    """Starting and stopping the server changes no signal handler."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    running = HttpServer("127.0.0.1:0", create_app(CollectorRegistry(), lambda: True))
    await running.start()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    await running.stop()
    await running.stop()


async def test_a_taken_port_is_a_start_error_that_names_it() -> None:
    """A second server on the port of the first says which address is in use, and does not end the process."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        with pytest.raises(StartError, match=f"{address}: Address already in use"):
            await HttpServer(address, create_app(CollectorRegistry(), lambda: True)).start()


async def test_stop_does_not_wait_for_idle_connections(
    server: tuple[HttpServer, dict[str, bool]],
) -> None:
    """A client that keeps its connection open does not hold the stop."""
    running, _ = server
    async with httpx.AsyncClient(base_url=f"http://{running.address}", trust_env=False) as client:
        await client.get("/healthz")
        async with asyncio.timeout(2):
            await running.stop()
