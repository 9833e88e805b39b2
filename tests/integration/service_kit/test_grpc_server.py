import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
import structlog
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import CollectorRegistry

from stoflow_service_kit.callers import Caller, current_caller, identify_caller
from stoflow_service_kit.errors import UnauthenticatedError
from stoflow_service_kit.grpc_channel import open_channel, request_metadata, rich_error
from stoflow_service_kit.grpc_interceptor import RpcCall
from stoflow_service_kit.grpc_server import GrpcServer
from stoflow_service_kit.grpc_status import DETAILS_KEY, RichError
from stoflow_service_kit.startup import StartError
from tests.integration.service_kit.echo_service import (
    SERVICE,
    EchoRequest,
    EchoServicer,
    EchoStub,
    add_echo_servicer_to_server,
)
from tests.integration.service_kit.waiting import until

# The stubs' types know only synchronous channels.
HealthStub: Any = health_pb2_grpc.HealthStub
ReflectionStub: Any = reflection_pb2_grpc.ServerReflectionStub


class Running:
    """A server with the echo service, and a client of it."""

    def __init__(self, server: GrpcServer, servicer: EchoServicer, registry: CollectorRegistry) -> None:
        self.server = server
        self.servicer = servicer
        self.registry = registry
        self.channel = open_channel(server.address)
        self.stub = EchoStub(self.channel)

    async def counted(self, method: str, code: str, times: int) -> None:
        """Waits until the metric says so: a call is counted just after its answer left."""
        labels = {"method": method, "code": code}
        sample = self.registry.get_sample_value
        await until(lambda: sample("grpc_server_requests_total", labels) == times)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    """A started server; stopped after the test."""
    registry = CollectorRegistry()
    server = GrpcServer("127.0.0.1:0", registry)
    servicer = EchoServicer()
    server.add(add_echo_servicer_to_server, servicer)
    await server.start()
    server.set_serving()
    started = Running(server, servicer, registry)
    yield started
    await started.channel.close()
    await server.drain(0)


async def failure(call: Any) -> RichError:
    """The typed error of a call that must fail; checks that it holds exactly one ErrorInfo."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    trailers = dict(caught.value.trailing_metadata())
    status = status_pb2.Status.FromString(trailers[DETAILS_KEY])
    infos = [detail for detail in status.details if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    assert len(infos) == 1
    info = error_details_pb2.ErrorInfo()
    infos[0].Unpack(info)
    assert info.domain == "stoflow"
    return rich_error(caught.value)


async def read_all(call: Any) -> list[str]:
    return [reply.text async for reply in call]


async def test_all_four_kinds_of_calls_are_answered(running: Running) -> None:
    """Unary, both one-way streams and a two-way stream pass through the interceptor unchanged."""
    stub = running.stub
    assert (await stub.echo(EchoRequest(text="hello"))).text == "hello"
    assert await read_all(stub.watch(EchoRequest(text="n", count=3))) == ["n 0", "n 1", "n 2"]
    assert (await stub.upload(iter([EchoRequest(text="a"), EchoRequest(text="b")]))).text == "a,b"
    assert await read_all(stub.chat(iter([EchoRequest(text="a"), EchoRequest(text="b")]))) == ["a", "b"]


async def test_a_service_error_becomes_a_rich_status(running: Running) -> None:
    """Code, message, reason and metadata of a ServiceError reach the client, from every kind of call."""
    chat = running.stub.chat()
    await chat.write(EchoRequest(text="missing"))
    for call in (
        running.stub.echo(EchoRequest(text="missing")),
        read_all(running.stub.watch(EchoRequest(text="missing"))),
        read_all(chat),
    ):
        error = await failure(call)
        assert error.code is grpc.StatusCode.NOT_FOUND
        assert error.message == "There is no such thing."
        assert error.reason == "TENANT_NOT_FOUND"
        assert error.metadata == {"id": "7"}


async def test_every_violation_of_a_request_is_reported_at_once(running: Running) -> None:
    """A request that breaks four rules names all four with their paths, and the handler never sees it."""
    request = EchoRequest(text="", count=-1, items=[{"sku": "ok"}, {"sku": "x"}, {"sku": ""}])
    error = await failure(running.stub.echo(request))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "INVALID_ARGUMENT"
    assert [violation.field for violation in error.violations] == [
        "text",
        "count",
        "items[1].sku",
        "items[2].sku",
    ]
    assert error.violations[0].rule == "STRING_MIN_LEN"
    assert "at least 1 character" in error.violations[0].description
    assert running.servicer.seen == []


@pytest.mark.parametrize("valid_before", [0, 1])
@pytest.mark.parametrize("kind", ["upload", "chat"])
async def test_streamed_requests_are_validated_one_by_one(
    running: Running, kind: str, valid_before: int
) -> None:
    """An invalid message ends a request stream with its violations, though the client would send more."""
    call = getattr(running.stub, kind)()
    # The invalid one comes last: a client that is still writing when the answer arrives may see
    # "Internal error from Core" in its place, which grpc.aio's client makes up.
    for _ in range(valid_before):
        await call.write(EchoRequest(text="fine"))
    await call.write(EchoRequest(text=""))
    error = await failure(call if kind == "upload" else read_all(call))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in error.violations] == ["text"]


async def test_a_server_stream_request_is_validated(running: Running) -> None:
    """A streaming answer begins only after its request was found valid."""
    error = await failure(read_all(running.stub.watch(EchoRequest(text="", count=2))))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_body_that_is_no_message_is_an_invalid_argument(running: Running) -> None:
    """Bytes that cannot be parsed get INVALID_ARGUMENT with an ErrorInfo, in unary and streaming calls."""
    upload = running.stub.raw_upload()
    await upload.write(b"\xff\xff")
    for call in (running.stub.raw_echo(b"\xff\xff"), upload):
        error = await failure(call)
        assert error.code is grpc.StatusCode.INVALID_ARGUMENT
        assert "cannot be parsed" in error.message


@pytest.mark.parametrize("kind", ["unary", "stream"])
async def test_an_unexpected_exception_leaks_nothing_but_an_id(running: Running, kind: str) -> None:
    """INTERNAL carries an id that the log has too, and none of the exception's text."""
    request = EchoRequest(text="crash", count=1)
    with structlog.testing.capture_logs() as logged:
        stub = running.stub
        error = await failure(stub.echo(request) if kind == "unary" else read_all(stub.watch(request)))
    assert error.code is grpc.StatusCode.INTERNAL
    assert error.reason == "INTERNAL"
    assert "hunter2" not in repr(error)
    assert "RuntimeError" not in repr(error)
    (entry,) = [line for line in logged if line["event"] == "rpc_failed"]
    assert entry["error_id"] == error.metadata["error_id"]
    assert error.metadata["error_id"] in error.message
    assert isinstance(entry["exc_info"][1], RuntimeError)


async def test_an_abort_by_hand_is_kept(running: Running) -> None:
    """context.abort in a handler reaches the client as it was, and is not taken for a crash."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.stub.echo(EchoRequest(text="abort"))
    assert caught.value.code() is grpc.StatusCode.DATA_LOSS
    assert caught.value.details() == "aborted by hand"
    await running.counted(f"/{SERVICE}/Echo", "DATA_LOSS", 1)


async def test_a_cancellation_from_within_is_answered(running: Running) -> None:
    """A handler whose inner task was cancelled answers INTERNAL instead of leaving its client waiting."""
    async with asyncio.timeout(5):
        error = await failure(running.stub.echo(EchoRequest(text="inner cancel")))
    assert error.code is grpc.StatusCode.INTERNAL


async def test_a_clients_deadline_cancels_the_handler(running: Running) -> None:
    """A handler learns at once that its client gave up, and the metrics call it CANCELLED."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.stub.echo(EchoRequest(text="wait"), timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await running.counted(f"/{SERVICE}/Echo", "CANCELLED", 1)
    assert running.servicer.cancelled == 1


async def test_a_client_that_leaves_a_stream_closes_the_handler(running: Running) -> None:
    """Cancelling a watch ends its generator on the server, without an error in the log."""
    with structlog.testing.capture_logs() as logged:
        call = running.stub.watch(EchoRequest(text="wait", count=1))
        assert (await call.read()).text == "wait 0"
        await running.servicer.started.wait()
        call.cancel()
        await until(lambda: running.servicer.closed_streams)
    assert [line for line in logged if line["log_level"] in {"warning", "error"}] == []


async def test_unknown_methods_and_services_are_unimplemented(running: Running) -> None:
    """A call to nothing gets UNIMPLEMENTED with an ErrorInfo, and makes no metric of its own name."""
    error = await failure(running.stub.unknown(EchoRequest(text="a")))
    assert error.code is grpc.StatusCode.UNIMPLEMENTED
    assert error.reason == "METHOD_NOT_FOUND"
    error = await failure(read_all(running.stub.unknown_service(EchoRequest(text="a"))))
    assert error.code is grpc.StatusCode.UNIMPLEMENTED
    await running.counted("unknown", "UNIMPLEMENTED", 2)


async def test_the_request_id_goes_in_and_out(running: Running) -> None:
    """A client's x-request-id comes back with answers and errors; a malformed or missing one is replaced."""
    call = running.stub.echo(EchoRequest(text="a"), metadata=request_metadata("order-66"))
    await call
    assert dict(await call.trailing_metadata())["x-request-id"] == "order-66"
    error = await failure(
        running.stub.echo(EchoRequest(text="missing"), metadata=request_metadata("order-67"))
    )
    assert error.request_id == "order-67"
    for metadata in ((), (("x-request-id", "no spaces allowed"),), (("x-request-id", "x" * 200),)):
        call = running.stub.echo(EchoRequest(text="a"), metadata=metadata)
        await call
        assert len(dict(await call.trailing_metadata())["x-request-id"]) == 32


async def test_metrics_count_calls_by_method_and_code(running: Running) -> None:
    """After calls of known outcomes, counters, histogram and the in-flight gauge say so."""
    await running.stub.echo(EchoRequest(text="a"))
    await failure(running.stub.echo(EchoRequest(text="missing")))
    method = f"/{SERVICE}/Echo"
    await running.counted(method, "OK", 1)
    await running.counted(method, "NOT_FOUND", 1)
    sample = running.registry.get_sample_value
    assert sample("grpc_server_request_seconds_count", {"method": method}) == 2
    assert sample("grpc_server_requests_in_flight", {"method": method}) == 0


async def test_a_guard_refuses_before_the_handler() -> None:
    """A guard sees method and metadata, and its refusal is a rich status like any other."""
    calls: list[RpcCall] = []

    async def guard(call: RpcCall) -> None:
        calls.append(call)
        if call.metadata.get("authorization") != "Bearer good":
            raise UnauthenticatedError("Who are you?", reason="INVALID_ARGUMENT")

    server = GrpcServer("127.0.0.1:0", CollectorRegistry(), guards=[guard])
    servicer = EchoServicer()
    server.add(add_echo_servicer_to_server, servicer)
    await server.start()
    async with open_channel(server.address) as channel:
        stub = EchoStub(channel)
        error = await failure(stub.echo(EchoRequest(text="a")))
        assert error.code is grpc.StatusCode.UNAUTHENTICATED
        assert servicer.seen == []
        await stub.echo(EchoRequest(text="a"), metadata=(("authorization", "Bearer good"),))
    assert servicer.seen == ["a"]
    assert {call.method for call in calls} == {f"/{SERVICE}/Echo"}
    await server.drain(0)


async def test_a_handler_sees_who_calls() -> None:
    """A handler sees the subject that a guard named, the peer and the request id; beside it, others see their own."""

    async def guard(call: RpcCall) -> None:
        if "subject" in call.metadata:
            identify_caller(str(call.metadata["subject"]))

    seen: list[Caller] = []

    class Servicer(EchoServicer):
        async def echo(self, request: Any, context: Any) -> Any:
            seen.append(current_caller.get())
            return await super().echo(request, context)

    server = GrpcServer("127.0.0.1:0", CollectorRegistry(), guards=[guard])
    server.add(add_echo_servicer_to_server, Servicer())
    await server.start()
    async with open_channel(server.address) as channel:
        stub = EchoStub(channel)
        named = (("subject", "shop-7"), ("x-request-id", "first"))
        await stub.echo(EchoRequest(text="a"), metadata=named)
        await stub.echo(EchoRequest(text="a"), metadata=(("x-request-id", "second"),))
    await server.drain(0)
    assert [(caller.subject, caller.call_id) for caller in seen] == [
        ("shop-7", "first"),
        ("anonymous", "second"),
    ]
    assert all(caller.peer.startswith("ipv4:127.0.0.1:") for caller in seen)
    assert current_caller.get() == Caller("system", "", "")


async def test_health_follows_the_service(running: Running) -> None:
    """Check answers for the server and for each service by name, and NOT_FOUND for others."""
    stub = HealthStub(running.channel)

    async def check(service: str) -> int:
        reply: Any = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        status: int = reply.status
        return status

    assert await check("") == health_pb2.HealthCheckResponse.SERVING
    assert await check(SERVICE) == health_pb2.HealthCheckResponse.SERVING
    running.server.set_serving(False)
    assert await check(SERVICE) == health_pb2.HealthCheckResponse.NOT_SERVING
    error = await failure(check("stoflow.none.v1.NoService"))
    assert error.code is grpc.StatusCode.NOT_FOUND


async def test_health_is_not_serving_before_it_is_told_so() -> None:
    """A server that has just started is NOT_SERVING: its service may still wait for its database."""
    server = GrpcServer("127.0.0.1:0", CollectorRegistry())
    await server.start()
    async with open_channel(server.address) as channel:
        stub = HealthStub(channel)
        reply: Any = await stub.Check(health_pb2.HealthCheckRequest())
        assert reply.status == health_pb2.HealthCheckResponse.NOT_SERVING
    await server.drain(0)


async def test_reflection_lists_the_services_and_describes_messages(running: Running) -> None:
    """A client that knows nothing finds the services and the file of a message."""
    stub = ReflectionStub(running.channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="stoflow.test.v1.EchoRequest"),
    ]
    call: Any = stub.ServerReflectionInfo(iter(requests))
    replies = [reply async for reply in call]
    names = {service.name for service in replies[0].list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} <= names
    assert replies[1].file_descriptor_response.file_descriptor_proto


async def test_drain_lets_running_calls_end_and_refuses_new_ones(running: Running) -> None:
    """A call that runs when the drain begins gets its answer; a new one is refused as unavailable."""
    waiting = asyncio.ensure_future(running.stub.echo(EchoRequest(text="wait")))
    await running.servicer.started.wait()
    draining = asyncio.create_task(running.server.drain(10))
    await asyncio.sleep(0.1)
    assert not draining.done()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.stub.echo(EchoRequest(text="late"))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    running.servicer.release.set()
    assert (await waiting).text == "wait"
    async with asyncio.timeout(2):
        await draining


async def test_open_watches_do_not_hold_the_drain(running: Running) -> None:
    """With a health watch and a service's watch open, a drain of 30 s grace ends within two seconds."""
    health: Any = HealthStub(running.channel).Watch(health_pb2.HealthCheckRequest())
    assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
    watch = running.stub.watch(EchoRequest(text="wait", count=1))
    await watch.read()
    await running.servicer.started.wait()
    async with asyncio.timeout(2):
        await running.server.drain(30)
    assert (await health.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert await health.read() is grpc.aio.EOF
    error = await failure(watch.read())
    assert error.code is grpc.StatusCode.UNAVAILABLE
    assert error.reason == "UNAVAILABLE"
    assert error.retry_after_seconds == 1.0


async def test_drain_aborts_calls_that_outlast_the_grace(running: Running) -> None:
    """A call that does not end is cut off when the grace is over."""
    waiting = asyncio.ensure_future(running.stub.echo(EchoRequest(text="wait")))
    await running.servicer.started.wait()
    async with asyncio.timeout(3):
        await running.server.drain(0.2)
    with pytest.raises(grpc.aio.AioRpcError):
        await waiting
    assert running.servicer.cancelled == 1


async def test_two_servers_never_share_a_port(running: Running) -> None:
    """A second server on the same port refuses to start and names the address."""
    second = GrpcServer(running.server.address, CollectorRegistry())
    with pytest.raises(StartError, match=running.server.address):
        await second.start()
    await second.drain(0)


async def test_a_port_held_by_another_program_is_named() -> None:
    """An address in use by something that is no gRPC server is a start error as well."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        server = GrpcServer(address, CollectorRegistry())
        with pytest.raises(StartError, match=address):
            await server.start()
        await server.drain(0)


async def test_many_long_violations_still_reach_the_client(running: Running) -> None:
    """Hundreds of broken fields are answered within the limit of trailers; what is left out is counted."""
    request = EchoRequest(text="fine", items=[{"sku": "x"}] * 500)
    error = await failure(running.stub.echo(request))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert len(error.violations) + int(error.metadata["violations_omitted"]) == 500
    async with grpc.aio.insecure_channel(running.server.address) as plain:
        # A client with gRPC's default limits.
        error = await failure(EchoStub(plain).echo(request))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
