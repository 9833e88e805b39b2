"""A gRPC server with everything a service needs around its own servicers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry

from stoflow_service_kit.grpc_health import NOT_SERVING, SERVING, HealthServicer
from stoflow_service_kit.grpc_interceptor import Guard, RpcInterceptor
from stoflow_service_kit.grpc_validation import Check
from stoflow_service_kit.metrics import GrpcServerMetrics
from stoflow_service_kit.settings import join_host_port, split_host_port
from stoflow_service_kit.startup import StartError

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
MAX_METADATA_BYTES = 32 * 1024

_OPTIONS: tuple[tuple[str, int], ...] = (
    # With it a second server binds the same port silently and takes half of the calls.
    ("grpc.so_reuseport", 0),
    # Finds clients that vanished without closing their connection.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Clients ping every ten seconds, also without calls; gRPC's default strikes pings under five minutes.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 9_000),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
)

S = TypeVar("S")


class GrpcServer:
    """One server: add servicers, start, set serving, drain.

    Attributes:
        health: Statuses by service; `set_serving` sets them all.
        address: The real `host:port` once started.
    """

    def __init__(
        self,
        address: str,
        registry: CollectorRegistry,
        *,
        guards: Sequence[Guard] = (),
        credentials: grpc.ServerCredentials | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        max_concurrent_streams: int = 1_000,
    ) -> None:
        """Prepares a server; nothing is bound before `start`.

        Args:
            address: `host:port` to listen on; port 0 takes a free one.
            registry: Where its metrics go.
            guards: Run before each handler, in order; health and reflection calls pass them too.
            credentials: TLS; none means plain text.
            max_message_bytes: Bound of one message, in both directions.
            max_concurrent_streams: Bound of running calls a connection.
        """
        self.address = address
        self.health = HealthServicer()
        self._credentials = credentials
        self._names: list[str] = []
        self._interceptor = RpcInterceptor(GrpcServerMetrics(registry), guards)
        self._server = grpc.aio.server(
            interceptors=[self._interceptor],
            options=[
                *_OPTIONS,
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.max_send_message_length", max_message_bytes),
                ("grpc.max_concurrent_streams", max_concurrent_streams),
            ],
        )

    def add(self, register: Callable[[S, grpc.aio.Server], None], servicer: S) -> None:
        """Adds a servicer: `server.add(add_JobServiceServicer_to_server, JobServicer(...))`.

        Handlers are coroutines or async generators; streamed requests are read with `async for`, not with
        `context.read()`, which would go around validation.
        """
        register(servicer, cast("grpc.aio.Server", _Recorder(self._server, self._names)))

    def add_check(self, method: str, check: Check) -> None:
        """Adds what protovalidate cannot say of a method's requests.

        Args:
            method: Full name, such as `/stoflow.jobs.v1.JobService/CreateJob`; not one that streams requests.
            check: Lists violations, which the caller gets together with those of the rules.
        """
        self._interceptor.add_check(method, check)

    async def start(self) -> str:
        """Binds and serves; health says NOT_SERVING until `set_serving`.

        Returns:
            The real `host:port`.

        Raises:
            StartError: The address cannot be bound.
        """
        for name in self._names:
            self.health.set(name, NOT_SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        reflection.enable_server_reflection(
            [*self._names, health_name, reflection.SERVICE_NAME], self._server
        )
        self.address = join_host_port(split_host_port(self.address)[0], self._bind())
        await self._server.start()
        return self.address

    def _bind(self) -> int:
        try:
            if self._credentials is None:
                return self._server.add_insecure_port(self.address)
            return self._server.add_secure_port(self.address, self._credentials)
        except RuntimeError as error:
            raise StartError(
                f"The gRPC server cannot listen on {self.address}: in use, or not this machine's. "
                "Set GRPC_ADDRESS to another host:port."
            ) from error

    def set_serving(self, serving: bool = True) -> None:
        """Sets the health of every service of this server."""
        self.health.set_all(SERVING if serving else NOT_SERVING)

    @property
    def is_serving(self) -> bool:
        """Whether health says SERVING for the server as a whole."""
        return self.health.is_serving

    async def drain(self, grace_seconds: float) -> None:
        """Says NOT_SERVING, refuses new calls, ends watches, and waits for running calls.

        Args:
            grace_seconds: After it, calls that still run are aborted.
        """
        self.health.enter_graceful_shutdown()
        self._interceptor.cut_streams()
        await self._server.stop(grace_seconds)


class _Recorder:
    """Passes handlers on and keeps the names of the services, which reflection and health need."""

    def __init__(self, server: grpc.aio.Server, names: list[str]) -> None:
        self._server = server
        self._names = names

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, "grpc.RpcMethodHandler[Any, Any]"]
    ) -> None:
        self._names.append(service_name)
        self._server.add_registered_method_handlers(service_name, method_handlers)
