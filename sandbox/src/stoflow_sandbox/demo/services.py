"""The services and marketplace sandboxes of one machine, each a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from stoflow_sandbox import lifeline
from stoflow_sandbox.demo.addresses import Addresses, database_address
from stoflow_sandbox.demo.console import Reporter
from stoflow_sandbox.demo.folders import Folders
from stoflow_sandbox.demo.marketplaces import DemoMarketplace
from stoflow_sandbox.demo.ports import AnyPorts, KeptPorts
from stoflow_sandbox.demo.secrets_file import load_or_create
from stoflow_sandbox.demo.servers import ServerUrls, provide_servers
from stoflow_sandbox.demo.settings import DemoSettings
from stoflow_sandbox.lifeline import ProcessError
from stoflow_sandbox.processes import ServiceProcess, Supervisor
from stoflow_sandbox.servers.ports import LOOPBACK
from stoflow_service_kit.nats import nats_address


class System:
    """Everything that runs on this machine; leaving the context stops it, what started last first."""

    def __init__(
        self,
        settings: DemoSettings,
        folders: Folders,
        ports: AnyPorts | KeptPorts,
        marketplaces: Sequence[DemoMarketplace],
        reporter: Reporter,
        timeout_seconds: float,
    ) -> None:
        self._settings = settings
        self._folders = folders
        self._ports = ports
        self._marketplaces = marketplaces
        self._reporter = reporter
        self._timeout_seconds = timeout_seconds
        self._secrets = load_or_create(folders.secrets_file)
        self._supervisor = Supervisor(folders.logs)
        self._servers = ExitStack()
        self._callers: list[ServiceProcess] = []

    def __enter__(self) -> Addresses:
        try:
            return self._start()
        except BaseException:
            self._stop()
            raise

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        # Services first, while their servers still answer; the servers even if a second interrupt comes.
        try:
            # Nobody calls these, so they may drain all at once.
            for service in self._callers:
                if service.is_running:
                    os.kill(service.pid, signal.SIGTERM)
            self._supervisor.stop_all()
        finally:
            self._servers.close()

    @property
    def services(self) -> Sequence[ServiceProcess]:
        return self._supervisor.services

    def _start(self) -> Addresses:
        # They need no server, so they start while PostgreSQL does.
        sandboxes = {one.name: self._spawn_sandbox(one) for one in self._marketplaces}
        urls = provide_servers(
            self._servers, self._settings, self._folders, self._ports, self._reporter, self._timeout_seconds
        )
        if isinstance(self._ports, KeptPorts):
            self._migrate(urls)
        orchestrator = self._spawn("orchestrator", "stoflow_orchestrator", self._orchestrator(urls))
        sandbox_urls = {name: self._sandbox_url(name, process) for name, process in sandboxes.items()}
        serving = self._wait(orchestrator)
        orchestrator_address = serving["grpc_address"]
        stats = self._spawn(
            "stats-service",
            "stoflow_stats_service",
            self._common("stats-service", urls) | {"ORCHESTRATOR_ADDRESS": orchestrator_address},
        )
        connectors = {
            one.name: self._spawn_connector(one, urls, orchestrator_address, sandbox_urls[one.name])
            for one in self._marketplaces
        }
        self._callers = [stats, *connectors.values()]
        stats_serving = self._wait(stats)
        connectors_serving = {name: self._wait(process) for name, process in connectors.items()}
        pairing_files = {
            one.name: self._spawn_browser(
                one,
                connectors_serving[one.name]["gateway_address"],
                serving["http_address"],
                sandbox_urls[one.name],
            )
            for one in self._marketplaces
            if one.needs_browser
        }
        return Addresses(
            database=database_address(urls.database),
            nats=nats_address(urls.nats),
            orchestrator=orchestrator_address,
            orchestrator_http=serving["http_address"],
            stats=stats_serving["grpc_address"],
            stats_http=stats_serving["http_address"],
            connectors={name: ready["http_address"] for name, ready in connectors_serving.items()},
            sandboxes=sandbox_urls,
            pairing_files=pairing_files,
        )

    def _migrate(self, urls: ServerUrls) -> None:
        """Upgrades every tenant: kept data may be older than the code, and the service only upgrades `public`."""
        log = self._folders.logs / "migrate.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            done = subprocess.run(
                [sys.executable, "-m", "stoflow_orchestrator", "migrate"],
                env=os.environ | {"DATABASE_URL": urls.database},
                stdout=output,
                stderr=output,
                timeout=self._timeout_seconds,
                check=False,
            )
        if done.returncode:
            raise ProcessError(
                f"the kept data could not be upgraded; the log {log} ends with:\n{lifeline.tail(log)}"
            )

    def _spawn(self, name: str, module: str, environment: dict[str, str]) -> ServiceProcess:
        return self._supervisor.start(name, [sys.executable, "-m", module], environment)

    def _spawn_sandbox(self, marketplace: DemoMarketplace) -> ServiceProcess:
        name = f"sandbox-{marketplace.name}"
        environment = {
            "HTTP_ADDRESS": self._listen(name),
            "STATE_DIR": str(self._folders.sandbox(marketplace.name)),
        }
        return self._spawn(name, marketplace.sandbox_module, environment)

    def _spawn_connector(
        self, marketplace: DemoMarketplace, urls: ServerUrls, orchestrator: str, sandbox_url: str
    ) -> ServiceProcess:
        name = f"connector-{marketplace.name}"
        environment = {
            **self._common(name, urls),
            "ORCHESTRATOR_ADDRESS": orchestrator,
            "MARKETPLACE": marketplace.name,
            **marketplace.connector_environment(sandbox_url, self._secrets),
        }
        if marketplace.needs_browser:
            environment |= marketplace.gateway_environment(self._listen(f"{name} gateway"))
        # A connector has no database, so it is not told where one is.
        environment["DATABASE_URL"] = ""
        return self._spawn(name, marketplace.connector_module, environment)

    def _spawn_browser(
        self, marketplace: DemoMarketplace, gateway: str, orchestrator_http: str, sandbox_url: str
    ) -> str:
        """Starts the seller's browser, which waits to be paired; returns the file of its code."""
        name = f"browser-{marketplace.name}"
        folder = self._folders.browser(marketplace.name)
        folder.mkdir(parents=True, exist_ok=True)
        code_file = str(folder / "pairing-code")
        environment = {
            "GATEWAY_URL": f"ws://{gateway}/browser",
            "IMAGE_ORIGINS": f"http://{orchestrator_http}",
            "STATE_FILE": str(folder / "browser.json"),
            "PAIRING_CODE_FILE": code_file,
            **marketplace.browser_environment(sandbox_url, self._secrets),
        }
        self._spawn(name, "stoflow_sandbox.browser", environment)
        self._reporter.step(name, f"waits to be paired, at ws://{gateway}")
        return code_file

    def _orchestrator(self, urls: ServerUrls) -> dict[str, str]:
        return {
            **self._common("orchestrator", urls),
            "IMAGE_STORE_PATH": str(self._folders.images),
            # Pictures of this machine may be fetched: nothing here serves anybody else.
            "IMAGE_ALLOWED_NETWORKS": "127.0.0.0/8",
            "IMAGE_URL_KEY": self._secrets.key("image address key"),
            "IMAGE_BASE_URL": "",
            "CREDENTIALS_KEYS": f"demo:{self._secrets.key('credentials key')}",
        }

    def _common(self, name: str, urls: ServerUrls) -> dict[str, str]:
        return {
            "DATABASE_URL": urls.database,
            "NATS_URL": urls.nats,
            "GRPC_ADDRESS": self._listen(f"{name} grpc"),
            "HTTP_ADDRESS": self._listen(f"{name} http"),
        }

    def _listen(self, name: str) -> str:
        return f"{LOOPBACK}:{self._ports.choose(name)}"

    def _sandbox_url(self, name: str, process: ServiceProcess) -> str:
        url = f"http://{process.wait_ready(self._timeout_seconds)['http_address']}"
        self._reporter.step(f"{name} sandbox", f"serves {url}")
        return url

    def _wait(self, process: ServiceProcess) -> dict[str, str]:
        ready = process.wait_ready(self._timeout_seconds)
        self._reporter.step(process.name, f"serves gRPC at {ready['grpc_address']}")
        return ready
