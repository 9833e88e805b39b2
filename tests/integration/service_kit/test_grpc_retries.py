import asyncio

import grpc
import grpc.aio
import pytest
from prometheus_client import CollectorRegistry

from stoflow_service_kit.grpc_channel import open_channel, retry_service_config, rich_error
from stoflow_service_kit.grpc_server import GrpcServer
from tests.integration.service_kit.echo_service import (
    SERVICE,
    EchoRequest,
    EchoServicer,
    EchoStub,
    add_echo_servicer_to_server,
)


async def serve(address: str) -> GrpcServer:
    server = GrpcServer(address, CollectorRegistry())
    server.add(add_echo_servicer_to_server, EchoServicer())
    await server.start()
    return server


async def test_a_restarted_server_is_found_within_seconds() -> None:
    """A channel that failed to connect several times reaches the server soon after it came back."""
    server = await serve("127.0.0.1:0")
    async with open_channel(server.address) as channel:
        stub = EchoStub(channel)
        await stub.echo(EchoRequest(text="a"))
        await server.drain(0)
        for _ in range(5):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.echo(EchoRequest(text="a"))
            assert rich_error(caught.value).code is grpc.StatusCode.UNAVAILABLE
            assert rich_error(caught.value).reason == ""
            await asyncio.sleep(0.2)
        server = await serve(server.address)
        assert (await stub.echo(EchoRequest(text="b"), wait_for_ready=True, timeout=5)).text == "b"
    await server.drain(0)


async def test_calls_that_the_caller_vouched_for_are_repeated() -> None:
    """With a retry config a call survives a server that comes back between its tries; others fail at once."""
    server = await serve("127.0.0.1:0")
    address = server.address
    await server.drain(0)
    config = retry_service_config({SERVICE: ["Echo"]}, max_attempts=5, initial_backoff_seconds=0.5)
    async with open_channel(address, service_config=config) as channel:
        stub = EchoStub(channel)
        repeated = asyncio.ensure_future(stub.echo(EchoRequest(text="a"), timeout=10))
        with pytest.raises(grpc.aio.AioRpcError):
            _ = [reply async for reply in stub.watch(EchoRequest(text="a"))]
        server = await serve(address)
        assert (await repeated).text == "a"
    await server.drain(0)
