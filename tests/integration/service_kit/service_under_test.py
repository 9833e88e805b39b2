"""A whole small service, run as a process by the tests of its life."""

import asyncio
import os
import sys

from prometheus_client import CollectorRegistry

from stoflow_service_kit.grpc_server import GrpcServer
from stoflow_service_kit.http_server import HttpServer, create_app
from stoflow_service_kit.lifecycle import Lifecycle, run_service
from stoflow_service_kit.settings import ServiceSettings, load_settings
from tests.integration.service_kit.echo_service import EchoServicer, add_echo_servicer_to_server


async def start(lifecycle: Lifecycle) -> None:
    settings = load_settings(ServiceSettings)
    registry = CollectorRegistry()
    server = GrpcServer(settings.grpc_address, registry)
    server.add(add_echo_servicer_to_server, EchoServicer())
    http = HttpServer(settings.http_address, create_app(registry, lambda: server.is_serving))
    http_address = await http.start()
    lifecycle.on_drain("http", http.stop)
    if os.environ.get("STUCK"):
        lifecycle.on_drain("stuck", lambda: asyncio.sleep(3600))
    grpc_address = await server.start()
    lifecycle.on_drain("grpc", lambda: server.drain(10))
    server.set_serving()
    lifecycle.serving(grpc_address=grpc_address, http_address=http_address)


if __name__ == "__main__":
    sys.exit(run_service("under-test", load_settings(ServiceSettings), start))
