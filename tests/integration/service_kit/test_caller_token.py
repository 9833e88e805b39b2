from pathlib import Path

from prometheus_client import CollectorRegistry

from stoflow_service_kit.caller_token import FixedToken, TokenFile
from stoflow_service_kit.grpc_channel import open_channel
from stoflow_service_kit.grpc_interceptor import RpcCall
from stoflow_service_kit.grpc_server import GrpcServer
from tests.integration.service_kit.echo_service import (
    EchoRequest,
    EchoServicer,
    EchoStub,
    add_echo_servicer_to_server,
)


async def test_every_kind_of_call_carries_the_token(tmp_path: Path) -> None:
    """All four kinds of calls send the bearer token beside their own metadata, without TLS too; no token sends none."""
    seen: list[tuple[str, object, object]] = []

    async def note(call: RpcCall) -> None:
        seen.append((call.method, call.metadata.get("authorization"), call.metadata.get("x-request-id")))

    server = GrpcServer("127.0.0.1:0", CollectorRegistry(), guards=[note])
    server.add(add_echo_servicer_to_server, EchoServicer())
    address = await server.start()
    file = tmp_path / "token"
    file.write_text("abc")
    own = (("x-request-id", "mine"),)
    async with open_channel(address, token=TokenFile(file)) as channel:
        stub = EchoStub(channel)
        await stub.echo(EchoRequest(text="a"), metadata=own)
        assert [reply.text async for reply in stub.watch(EchoRequest(text="a", count=1), metadata=own)]
        await stub.upload(iter([EchoRequest(text="a")]), metadata=own)
        assert [reply.text async for reply in stub.chat(iter([EchoRequest(text="a")]), metadata=own)]
    assert seen == [
        (f"/stoflow.test.v1.EchoService/{name}", "Bearer abc", "mine")
        for name in ("Echo", "Watch", "Upload", "Chat")
    ]
    seen.clear()
    async with open_channel(address, token=FixedToken("x")) as channel:
        await EchoStub(channel).echo(EchoRequest(text="a"))
    async with open_channel(address) as channel:
        await EchoStub(channel).echo(EchoRequest(text="a"))
    assert [token for _, token, _ in seen] == ["Bearer x", None]
    await server.drain(0)
