"""The gRPC health service, whose watches end when the server drains."""

import asyncio
from typing import TypeAlias

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from stoflow_service_kit.errors import NotFoundError

# The generated enum is not a type that static checkers accept.
_Status: TypeAlias = int
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

_Context = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Answers for the whole server (the empty name) and for each service.

    grpcio-health-checking's own Watch never returns, so one watching client would hold a graceful stop for
    the whole grace period; here each watch ends after it has told its client NOT_SERVING.
    """

    def __init__(self) -> None:
        self._statuses: dict[str, _Status] = {"": NOT_SERVING}
        self._changed = asyncio.Event()
        self._draining = False

    def set(self, service: str, status: _Status) -> None:
        """Sets one service's status; ignored once draining."""
        if not self._draining:
            self._statuses[service] = status
            self._announce()

    def set_all(self, status: _Status) -> None:
        """Sets every service's status; ignored once draining."""
        for service in list(self._statuses):
            self.set(service, status)

    def enter_graceful_shutdown(self) -> None:
        """Makes everything NOT_SERVING for good and lets the watches end."""
        self.set_all(NOT_SERVING)
        self._draining = True
        self._announce()

    @property
    def is_serving(self) -> bool:
        """Whether the server as a whole is SERVING."""
        return self._statuses[""] == SERVING

    def _announce(self) -> None:
        # Waiters hold the old event; whoever comes now waits on the new one.
        self._changed.set()
        self._changed = asyncio.Event()

    async def Check(  # noqa: N802  The name is the contract's.
        self,
        request: health_pb2.HealthCheckRequest,
        context: _Context,  # noqa: ARG002
    ) -> health_pb2.HealthCheckResponse:
        status = self._statuses.get(request.service)
        if status is None:
            raise NotFoundError(
                f"This server has no service {request.service[:200]!r}.", reason="METHOD_NOT_FOUND"
            )
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802  The name is the contract's.
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> None:
        last: _Status | None = None
        while True:
            changed = self._changed
            status = self._statuses.get(request.service, _UNKNOWN)
            if status != last:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                last = status
            if self._draining:
                return
            if changed is self._changed:
                await changed.wait()
