"""A service of all four kinds of calls, described at run time, that does what the request's text says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from buf.validate import validate_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from stoflow_service_kit.errors import NotFoundError

SERVICE = "stoflow.test.v1.EchoService"
_FILE = "stoflow/test/v1/echo.proto"
_Field = descriptor_pb2.FieldDescriptorProto


def _string(name: str, number: int, **rules: Any) -> descriptor_pb2.FieldDescriptorProto:
    field = _Field(name=name, number=number, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
    if rules:
        field.options.Extensions[validate_pb2.field].CopyFrom(
            validate_pb2.FieldRules(string=validate_pb2.StringRules(**rules))
        )
    return field


def _describe() -> None:
    file = descriptor_pb2.FileDescriptorProto(
        name=_FILE, package="stoflow.test.v1", syntax="proto3", dependency=["buf/validate/validate.proto"]
    )
    item = file.message_type.add(name="Item")
    item.field.append(_string("sku", 1, min_len=2))
    request = file.message_type.add(name="EchoRequest")
    request.field.append(_string("text", 1, min_len=1, max_len=20))
    count = request.field.add(name="count", number=2, type=_Field.TYPE_INT32, label=_Field.LABEL_OPTIONAL)
    count.options.Extensions[validate_pb2.field].CopyFrom(
        validate_pb2.FieldRules(int32=validate_pb2.Int32Rules(gte=0))
    )
    request.field.add(
        name="items",
        number=3,
        type=_Field.TYPE_MESSAGE,
        label=_Field.LABEL_REPEATED,
        type_name=".stoflow.test.v1.Item",
    )
    file.message_type.add(name="EchoReply").field.append(_string("text", 1))
    service = file.service.add(name="EchoService")
    for name, streams_in, streams_out in (
        ("Echo", False, False),
        ("Watch", False, True),
        ("Upload", True, False),
        ("Chat", True, True),
    ):
        service.method.add(
            name=name,
            input_type=".stoflow.test.v1.EchoRequest",
            output_type=".stoflow.test.v1.EchoReply",
            client_streaming=streams_in,
            server_streaming=streams_out,
        )
    descriptor_pool.Default().Add(file)  # type: ignore[no-untyped-call, unused-ignore]


try:
    descriptor_pool.Default().FindFileByName(_FILE)
except KeyError:
    _describe()

_pool = descriptor_pool.Default()
EchoRequest: Any = message_factory.GetMessageClass(_pool.FindMessageTypeByName("stoflow.test.v1.EchoRequest"))
EchoReply: Any = message_factory.GetMessageClass(_pool.FindMessageTypeByName("stoflow.test.v1.EchoReply"))
Context = grpc.aio.ServicerContext[Any, Any]


class EchoServicer:
    """Echoes, except for the texts that name something else to do."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.seen: list[str] = []
        self.cancelled = 0
        self.closed_streams = 0

    async def echo(self, request: Any, context: Context) -> Any:
        self.seen.append(request.text)
        await self._act(request.text, context)
        return EchoReply(text=request.text)

    async def watch(self, request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            for number in range(request.count):
                yield EchoReply(text=f"{request.text} {number}")
            await self._act(request.text, context)
        finally:
            self.closed_streams += 1

    async def upload(self, requests: AsyncIterator[Any], _context: Context) -> Any:
        texts = [request.text async for request in requests]
        return EchoReply(text=",".join(texts))

    async def chat(self, requests: AsyncIterator[Any], context: Context) -> None:
        # The other way of writing responses.
        async for request in requests:
            await self._act(request.text, context)
            await context.write(EchoReply(text=request.text))

    async def _act(self, text: str, context: Context) -> None:
        if text == "missing":
            raise NotFoundError("There is no such thing.", reason="TENANT_NOT_FOUND", metadata={"id": "7"})
        if text == "abort":
            await context.abort(grpc.StatusCode.DATA_LOSS, "aborted by hand")
        if text == "crash":
            raise RuntimeError("password=hunter2 in /srv/secret.py")
        if text == "inner cancel":
            inner = asyncio.ensure_future(asyncio.sleep(60))
            asyncio.get_running_loop().call_soon(inner.cancel)
            await inner
        if text == "wait":
            self.started.set()
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise


def add_echo_servicer_to_server(servicer: EchoServicer, server: grpc.aio.Server) -> None:
    """Registers the servicer as generated code does."""

    def handler(make: Any, behavior: Any) -> Any:
        return make(
            behavior,
            request_deserializer=EchoRequest.FromString,
            response_serializer=EchoReply.SerializeToString,
        )

    handlers = {
        "Echo": handler(grpc.unary_unary_rpc_method_handler, servicer.echo),
        "Watch": handler(grpc.unary_stream_rpc_method_handler, servicer.watch),
        "Upload": handler(grpc.stream_unary_rpc_method_handler, servicer.upload),
        "Chat": handler(grpc.stream_stream_rpc_method_handler, servicer.chat),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)


class EchoStub:
    """The four calls, and raw bytes for requests that are no message."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        serializer = EchoRequest.SerializeToString
        parse = EchoReply.FromString
        self.echo: Callable[..., Any] = channel.unary_unary(f"/{SERVICE}/Echo", serializer, parse)
        self.watch: Callable[..., Any] = channel.unary_stream(f"/{SERVICE}/Watch", serializer, parse)
        self.upload: Callable[..., Any] = channel.stream_unary(f"/{SERVICE}/Upload", serializer, parse)
        self.chat: Callable[..., Any] = channel.stream_stream(f"/{SERVICE}/Chat", serializer, parse)
        self.raw_echo: Callable[..., Awaitable[Any]] = channel.unary_unary(f"/{SERVICE}/Echo", None, parse)
        self.raw_upload: Callable[..., Any] = channel.stream_unary(f"/{SERVICE}/Upload", None, parse)
        self.unknown: Callable[..., Any] = channel.unary_unary(f"/{SERVICE}/Nothing", serializer, parse)
        self.unknown_service: Callable[..., Any] = channel.unary_stream("/a.B/C", serializer, parse)
