"""Which port each server listens on: any free one, or the one it had last time."""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path

from stoflow_sandbox.servers.ports import LOOPBACK

ANY_PORT = 0
# Below the range from which kernels take ports for outgoing connections, so none of these is lost meanwhile.
CHOSEN_PORTS = range(20_000, 30_000)
CHOICES = 100


class AnyPorts:
    """Lets every server take a free port."""

    def choose(self, server: str) -> int:  # noqa: ARG002 - the same for every server
        return ANY_PORT


class KeptPorts:
    """Remembers ports in a file, so that addresses that a person noted stay right over restarts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._ports: dict[str, int] = json.loads(path.read_text())
        except (FileNotFoundError, ValueError):
            # The first run, or a file that somebody spoilt: new ports do no harm.
            self._ports = {}

    def choose(self, server: str) -> int:
        """Returns the server's port; another one when somebody else listens there now."""
        known = self._ports.get(server)
        if known is not None and _is_free(known):
            return known
        port = self._find_free()
        self._ports[server] = port
        self._path.write_text(json.dumps(self._ports, indent=2) + "\n")
        return port

    def _find_free(self) -> int:
        for port in random.sample(CHOSEN_PORTS, CHOICES):
            if port not in self._ports.values() and _is_free(port):
                return port
        return ANY_PORT


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still fading is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
