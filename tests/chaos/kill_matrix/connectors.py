"""Connector processes."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from stoflow_sandbox.lifeline import ProcessError
from stoflow_sandbox.processes import ServiceProcess, Supervisor
from tests.chaos.kill_matrix.market import Market
from tests.chaos.kill_matrix.stage import REQUEST_TIMEOUT_SECONDS, SETTLE_SECONDS, Stage

READY_SECONDS = 60.0
POLL_SECONDS = 0.02
# What is killed leaves no coverage behind, and tracing would double the time that its start takes.
UNTRACED = ("env", "-u", "COVERAGE_PROCESS_CONFIG")


def record_of(folder: Path, name: str) -> Path:
    """Returns the file that a connector writes its exchanges to."""
    return folder / f"{name}.exchanges.jsonl"


async def start_connector(
    stage: Stage,
    market: Market,
    supervisor: Supervisor,
    folder: Path,
    name: str,
    *,
    marketplace: str,
    orchestrator_address: str = "",
) -> ServiceProcess:
    """Starts a connector and waits until it is registered, without holding up what else runs.

    Args:
        stage: The shared servers.
        market: Whose connector.
        supervisor: Ends it.
        folder: Of its record.
        name: Unique under the supervisor.
        marketplace: What it registers as.
        orchestrator_address: What it calls; empty for the orchestrator itself.
    """
    environment = {
        "MARKETPLACE": marketplace,
        "ORCHESTRATOR_ADDRESS": orchestrator_address or stage.orchestrator.grpc_address,
        "NATS_URL": stage.orchestrator.nats_url,
        "STOFLOW_HTTP_RECORD": str(record_of(folder, name)),
        **market.connector_environment(
            stage.controls[market.name].base_url, REQUEST_TIMEOUT_SECONDS, SETTLE_SECONDS
        ),
    }
    process = supervisor.start(name, [*UNTRACED, sys.executable, "-m", market.connector_module], environment)
    deadline = time.monotonic() + READY_SECONDS
    while process.find_ready() is None:
        if not process.is_running or time.monotonic() > deadline:
            raise ProcessError(f"{name} does not serve:\n{process.log.read_text()}")
        await asyncio.sleep(POLL_SECONDS)
    return process
