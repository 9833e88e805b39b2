"""What happens around every RPC: request id, guards, validation, error mapping, metrics, logs."""

import asyncio
import re
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Never, TypeAlias

import grpc
import grpc.aio
import structlog

from stoflow_service_kit.callers import ANONYMOUS, Caller, current_caller
from stoflow_service_kit.errors import ServiceError, UnavailableError, UnimplementedError
from stoflow_service_kit.grpc_status import DETAILS_KEY, REQUEST_ID_KEY, to_status
from stoflow_service_kit.grpc_validation import Check, parse_request
from stoflow_service_kit.logs import get_logger
from stoflow_service_kit.metrics import GrpcServerMetrics

log = get_logger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
# Generic for type checkers only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_CLIENT_GONE = grpc.StatusCode.CANCELLED
_DRAIN_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RpcCall:
    """One call as a guard sees it.

    Attributes:
        method: Full name, such as `/stoflow.jobs.v1.JobService/CreateJob`.
        metadata: What the client sent; keys are lower case.
        request_id: The client's id, or one made here.
        context: gRPC's own, for the peer and its certificate.
    """

    method: str
    metadata: Mapping[str, str | bytes]
    request_id: str
    context: Context


Guard = Callable[[RpcCall], Awaitable[None]]
"""Runs before the handler and may refuse the call by raising a ServiceError: the place for authentication."""


class RpcInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler once and remembers it. It must be the innermost interceptor."""

    def __init__(self, metrics: GrpcServerMetrics, guards: Sequence[Guard] = ()) -> None:
        self._metrics = metrics
        self._guards = tuple(guards)
        self._wrapped: dict[str, Handler] = {}
        self._streams: set[asyncio.Task[Any]] = set()
        self._cut: set[asyncio.Task[Any]] = set()
        self._uncut_methods = frozenset({"/grpc.health.v1.Health/Watch"})
        self._checks: dict[str, Check] = {}
        self._unknown = self._unknown_method_handler()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            found = await continuation(handler_call_details)
            if found is None:
                # Not remembered: the name comes from outside, and outside could fill the memory.
                return self._unknown
            wrapped = self._wrapped[method] = self._wrap(method, found)
        return wrapped

    def add_check(self, method: str, check: Check) -> None:
        """Adds what protovalidate cannot say of a method's requests; its violations are listed with the others."""
        self._checks[method] = check

    def cut_streams(self) -> None:
        """Ends every open response stream with UNAVAILABLE, so that its client goes to another replica.

        Watches have no end of their own and would hold a graceful stop for the whole grace period.
        """
        for task in self._streams:
            self._cut.add(task)
            task.cancel()

    def _wrap(self, method: str, handler: Handler) -> Handler:
        behavior: Any = (
            handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        )
        deserialize: Any = handler.request_deserializer
        check = self._checks.get(method)

        def parsed(request: Any) -> Any:
            if not handler.request_streaming:
                return request if deserialize is None else parse_request(request, deserialize, check)
            return request if deserialize is None else _parsed_stream(request, deserialize)

        async def respond(request: Any, context: Context) -> Any:
            async def body() -> Any:
                return await behavior(parsed(request), context)

            return await self._run(method, context, body)

        async def stream(request: Any, context: Context) -> None:
            async def body() -> None:
                await _write_all(behavior(parsed(request), context), context)

            task = asyncio.current_task()
            if task is not None and method not in self._uncut_methods:
                self._streams.add(task)
            try:
                await self._run(method, context, body)
            finally:
                if task is not None:
                    self._streams.discard(task)
                    self._cut.discard(task)

        return _same_kind(handler, stream if handler.response_streaming else respond)

    def _unknown_method_handler(self) -> Handler:
        async def refuse(_requests: Any, context: Context) -> None:
            async def body() -> None:
                raise UnimplementedError("This server has no such method.")

            await self._run("unknown", context, body)

        # A stream on both sides fits whatever kind of call the client believes it makes.
        return grpc.stream_stream_rpc_method_handler(refuse)

    async def _run(self, method: str, context: Context, body: Callable[[], Awaitable[Any]]) -> Any:
        metadata: dict[str, str | bytes] = {
            str(key): value for key, value in context.invocation_metadata() or ()
        }
        request_id = _request_id(metadata)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        current_caller.set(Caller(ANONYMOUS, context.peer(), request_id))
        context.set_trailing_metadata(((REQUEST_ID_KEY, request_id),))
        in_flight = self._metrics.in_flight.labels(method)
        in_flight.inc()
        started = time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            for guard in self._guards:
                await guard(RpcCall(method, metadata, request_id, context))
            result = await body()
            code = _context_code(context)
            return result
        except grpc.aio.AbortError:
            # The status is sent already; any other exception in its place makes gRPC answer twice.
            code = _context_code(context)
            raise
        except asyncio.CancelledError:
            if not self._is_aimed_at_us():
                code = grpc.StatusCode.INTERNAL
                await self._fail(context, method, request_id)
            if asyncio.current_task() not in self._cut:
                code = _CLIENT_GONE
                raise
            code = grpc.StatusCode.UNAVAILABLE
            await _abort(context, _draining_error(), request_id)
        except ServiceError as error:
            code = error.code
            log.info("rpc_refused", method=method, code=code.name, reason=error.reason, message=error.message)
            await _abort(context, error, request_id)
        except Exception:
            # Nothing else may leave: gRPC would send its text to the client.
            if context.cancelled() or context.done():
                # Writing to a client that is gone fails inside gRPC; there is nobody to answer.
                code = _CLIENT_GONE
                raise
            code = grpc.StatusCode.INTERNAL
            await self._fail(context, method, request_id)
        finally:
            elapsed = time.perf_counter() - started
            in_flight.dec()
            self._metrics.duration.labels(method).observe(elapsed)
            self._metrics.requests.labels(method, code.name).inc()
            log.debug("rpc", method=method, code=code.name, seconds=round(elapsed, 6))

    @staticmethod
    def _is_aimed_at_us() -> bool:
        # A cancellation that came out of something the handler waited for, not from the client or the server,
        # would leave the client without any answer.
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0

    @staticmethod
    async def _fail(context: Context, method: str, request_id: str) -> Never:
        error_id = uuid.uuid4().hex[:16]
        log.error("rpc_failed", method=method, error_id=error_id, exc_info=sys.exc_info())
        error = ServiceError(
            f"Internal error {error_id}.", reason="INTERNAL", metadata={"error_id": error_id}
        )
        await _abort(context, error, request_id)


async def _abort(context: Context, error: ServiceError, request_id: str) -> Never:
    status = to_status(error)
    await context.abort(
        error.code,
        status.message,
        ((DETAILS_KEY, status.SerializeToString()), (REQUEST_ID_KEY, request_id)),
    )


async def _parsed_stream(
    requests: AsyncIterator[bytes], deserialize: Callable[[bytes], Any]
) -> AsyncIterator[Any]:
    async for raw in requests:
        yield parse_request(raw, deserialize)


async def _write_all(responses: Any, context: Context) -> None:
    if not hasattr(responses, "__aiter__"):
        # The handler writes to the context itself.
        await responses
        return
    async with aclosing(responses):
        async for response in responses:
            await context.write(response)


def _same_kind(handler: Handler, behavior: Any) -> Handler:
    # Without a deserializer gRPC hands over bytes, so that a body that cannot be parsed is ours to answer:
    # gRPC's own answer is UNKNOWN with the exception's text.
    if handler.request_streaming:
        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
    else:
        make = (
            grpc.unary_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.unary_unary_rpc_method_handler
        )
    made: Handler = make(behavior, None, handler.response_serializer)
    return made


def _request_id(metadata: Mapping[str, str | bytes]) -> str:
    sent = metadata.get(REQUEST_ID_KEY, "")
    # Only a tame id goes into the logs and back into a header.
    if isinstance(sent, str) and _REQUEST_ID.fullmatch(sent):
        return sent
    return uuid.uuid4().hex


def _context_code(context: Context) -> grpc.StatusCode:
    # grpc.aio answers with a number, None or 0 standing for OK.
    code: Any = context.code()
    if isinstance(code, grpc.StatusCode):
        return code
    return _CODES.get(code or 0, grpc.StatusCode.UNKNOWN)


def _draining_error() -> ServiceError:
    return UnavailableError("This server is stopping.", retry_after_seconds=_DRAIN_RETRY_SECONDS)
