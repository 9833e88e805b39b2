"""The small HTTP side of a service: metrics, liveness, and routes of its own."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stoflow_service_kit.settings import join_host_port, split_host_port
from stoflow_service_kit.startup import StartError


def create_app(
    registry: CollectorRegistry,
    is_healthy: Callable[[], bool],
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """Builds the application: /metrics, /healthz (200 or 503), and the given routes."""

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def healthz(_request: Request) -> Response:
        healthy = is_healthy()
        return JSONResponse(
            {"status": "SERVING" if healthy else "NOT_SERVING"}, status_code=200 if healthy else 503
        )

    return Starlette(routes=[Route("/metrics", metrics), Route("/healthz", healthz), *routes])


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The service drains in its own order; uvicorn would take the signals for itself.
        yield


class HttpServer:
    """uvicorn inside the service's own event loop."""

    def __init__(self, address: str, app: Starlette, *, max_concurrent_requests: int = 200) -> None:
        """Prepares a server; nothing is bound before `start`.

        Args:
            address: `host:port` to listen on; port 0 takes a free one.
            app: What it serves.
            max_concurrent_requests: Above it clients get 503.
        """
        self.address = address
        self._server = _Uvicorn(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="auto",
                server_header=False,
                limit_concurrency=max_concurrent_requests,
                timeout_graceful_shutdown=3,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Binds and serves.

        Returns:
            The real `host:port`.

        Raises:
            StartError: The address cannot be bound.
        """
        host, _ = split_host_port(self.address)
        listener = self._bind()
        self.address = join_host_port(host, listener.getsockname()[1])
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="http-server")
        while not self._server.started:
            if self._task.done():
                await self._task
                raise StartError(f"The HTTP server on {self.address} ended while starting.")
            await asyncio.sleep(0.005)
        return self.address

    def _bind(self) -> socket.socket:
        host, port = split_host_port(self.address)
        try:
            family, kind, protocol, _, target = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.socket(family, kind, protocol)
        except OSError as error:
            raise self._cannot_listen(error) from error
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(target)
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            raise self._cannot_listen(error) from error
        return listener

    def _cannot_listen(self, error: OSError) -> StartError:
        return StartError(
            f"The HTTP server cannot listen on {self.address}: {error.strerror or error}. "
            "Set HTTP_ADDRESS to another host:port."
        )

    async def stop(self) -> None:
        """Stops accepting, lets running requests end for three seconds, closes."""
        if self._task is None:
            return
        self._server.should_exit = True
        await self._task
        self._task = None
