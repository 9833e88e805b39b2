"""Serves one marketplace sandbox until it is told to stop, and says where once it does."""

import json
import logging
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from stoflow_sandbox.marketplaces.gateway import expose_transport
from stoflow_sandbox.marketplaces.settings import SandboxSettings, SettingsError

logger = logging.getLogger(__name__)


class _ReadyServer(uvicorn.Server):
    """Writes READY_FILE once connections are accepted."""

    def __init__(self, config: uvicorn.Config, address: str, ready_file: Path | None) -> None:
        super().__init__(config)
        self._address = address
        self._ready_file = ready_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.should_exit:
            return
        logger.info("serving http_address=%s", self._address)
        if self._ready_file is not None:
            write_atomically(
                self._ready_file, json.dumps({"pid": os.getpid(), "http_address": self._address}).encode()
            )


def write_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write beside and rename, so that a reader sees the old file or the new one and never a part."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    beside.replace(path)


def run(make_app: Callable[[SandboxSettings], ASGIApp]) -> None:
    """Read the settings, bind, serve; exits with code 2 and every violation when a setting is malformed."""
    try:
        settings = SandboxSettings.read()
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        print(f"HTTP_ADDRESS: cannot listen on {settings.host}:{settings.port}: {error}", file=sys.stderr)
        sys.exit(2)
    address = f"{settings.host}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        expose_transport(make_app(settings)),
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # Longer than a client keeps an idle connection, or its next request meets a closing one.
        timeout_keep_alive=75,
        # Held answers must not keep the process from stopping.
        timeout_graceful_shutdown=1,
        backlog=2048,
    )
    _ReadyServer(config, address, settings.ready_file).run(sockets=[listener])
