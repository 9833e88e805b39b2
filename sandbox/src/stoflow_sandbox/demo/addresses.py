"""Where the parts of a running system answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from stoflow_service_kit.settings import join_host_port

POSTGRES_PORT = 5432


def database_address(url: str) -> str:
    """Returns `host:port/database`: no user and no password."""
    parts = urlsplit(url)
    return f"{join_host_port(parts.hostname or 'localhost', parts.port or POSTGRES_PORT)}{parts.path}"


@dataclass(frozen=True, slots=True)
class Addresses:
    """`host:port` of each server; URLs for marketplace sandboxes. No password is in it.

    Attributes:
        connectors: HTTP address of each connector's metrics, by marketplace.
        sandboxes: Base URL of each marketplace sandbox, by marketplace.
        pairing_files: Where a scripted browser waits for the code with which it is paired, by marketplace.
    """

    database: str
    nats: str
    orchestrator: str
    orchestrator_http: str
    stats: str
    stats_http: str
    connectors: Mapping[str, str] = field(default_factory=dict)
    sandboxes: Mapping[str, str] = field(default_factory=dict)
    pairing_files: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        return cls(**content)

    def rows(self) -> list[tuple[str, str]]:
        """Returns name and address of each part, for a person."""
        rows = [
            ("PostgreSQL", self.database),
            ("NATS", self.nats),
            ("orchestrator", f"gRPC {self.orchestrator}, metrics http://{self.orchestrator_http}/metrics"),
            ("stats-service", f"gRPC {self.stats}, metrics http://{self.stats_http}/metrics"),
        ]
        rows += [
            (f"connector-{name}", f"metrics http://{one}/metrics") for name, one in self.connectors.items()
        ]
        rows += [(f"{name} sandbox", url) for name, url in self.sandboxes.items()]
        return rows
