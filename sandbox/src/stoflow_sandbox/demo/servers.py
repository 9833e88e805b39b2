"""PostgreSQL and NATS: started here, or those that the environment names."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from stoflow_sandbox.demo.addresses import database_address
from stoflow_sandbox.demo.console import Reporter
from stoflow_sandbox.demo.folders import Folders
from stoflow_sandbox.demo.ports import AnyPorts, KeptPorts
from stoflow_sandbox.demo.reachability import wait_for_nats, wait_for_postgres
from stoflow_sandbox.demo.settings import DemoSettings
from stoflow_sandbox.servers import NatsServer, PostgresServer
from stoflow_service_kit.nats import nats_address


@dataclass(frozen=True, slots=True)
class ServerUrls:
    """Addresses with passwords, for the services only."""

    database: str
    nats: str


def provide_servers(
    stack: ExitStack,
    settings: DemoSettings,
    folders: Folders,
    ports: AnyPorts | KeptPorts,
    reporter: Reporter,
    timeout_seconds: float,
) -> ServerUrls:
    """Starts what the environment does not name; the stack stops it again.

    Raises:
        ServerUnreachableError: A named server gives no answer; nothing was started then.
    """
    _wait_for_named(settings, reporter, timeout_seconds)
    database, nats = settings.database_url, settings.nats_url
    if not database:
        database = stack.enter_context(PostgresServer(folders.postgres, port=ports.choose("postgres"))).url
        reporter.step("PostgreSQL", f"started, {database_address(database)}")
    if not nats:
        nats = stack.enter_context(NatsServer(folders.nats, port=ports.choose("nats"))).url
        reporter.step("NATS", f"started, {nats_address(nats)}")
    return ServerUrls(database, nats)


def _wait_for_named(settings: DemoSettings, reporter: Reporter, timeout_seconds: float) -> None:
    if url := settings.database_url:
        wait_for_postgres(url, timeout_seconds, lambda text: reporter.step("PostgreSQL", text))
        reporter.step("PostgreSQL", f"{database_address(url)}, as DATABASE_URL says; none is started")
    if url := settings.nats_url:
        wait_for_nats(url, timeout_seconds, lambda text: reporter.step("NATS", text))
        reporter.step("NATS", f"{nats_address(url)}, as NATS_URL says; none is started")
