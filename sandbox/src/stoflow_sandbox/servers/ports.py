"""Free ports on loopback."""

import socket

LOOPBACK = "127.0.0.1"


def find_free_port() -> int:
    """Returns a port that was free a moment ago; whoever binds it must cope with losing it again."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    return int(port)
