"""`up`, `down` and `status`: the same system as in the demo, but it stays and keeps its data."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from stoflow_sandbox.demo.addresses import Addresses
from stoflow_sandbox.demo.background import KeeperProcess, folders_for_up, stop_process
from stoflow_sandbox.demo.console import Reporter
from stoflow_sandbox.demo.errors import DemoError
from stoflow_sandbox.demo.folders import Folders
from stoflow_sandbox.demo.marketplaces import DemoMarketplace
from stoflow_sandbox.demo.report import Report, write_report
from stoflow_sandbox.demo.scenario import run_scenario, show_look_further
from stoflow_sandbox.demo.secrets_file import load_or_create
from stoflow_sandbox.demo.signals import run_interruptibly
from stoflow_sandbox.demo.state_file import find_state
from stoflow_service_kit.grpc_channel import open_channel

HEALTH_SECONDS = 2.0


def bring_up(
    marketplaces: Sequence[DemoMarketplace],
    data: Path,
    report_file: Path,
    timeout_seconds: float,
    reporter: Reporter,
) -> bool:
    """Starts the system unless it is up, tells the story, and leaves the system running.

    Returns:
        Whether the product is live and counted. If not, what was started here is stopped again.

    Raises:
        DemoError: The system did not start, or the story could not be told.
    """
    folders = folders_for_up(data)
    folders.create()
    state = find_state(folders.state_file)
    if state is not None:
        if state.addresses is None:
            raise DemoError(f"it is just being started by another process (pid {state.pid})")
        reporter.step("up", f"it is up already, kept by process {state.pid}; its data is in {folders.root}")
        if absent := [one.name for one in marketplaces if one.name not in state.addresses.connectors]:
            raise DemoError(f"it is up without {', '.join(absent)}; run `make down` first, then this again")
        report = _tell(folders, state.addresses, marketplaces, report_file, timeout_seconds, reporter)
        return report.is_success
    report_file.unlink(missing_ok=True)
    keeper = KeeperProcess(folders, [one.name for one in marketplaces], timeout_seconds)
    is_success = False
    try:
        addresses = keeper.wait_up(reporter.line)
        report = _tell(folders, addresses, marketplaces, report_file, timeout_seconds, reporter)
        is_success = report.is_success
    finally:
        if not is_success:
            keeper.stop()
    return is_success


def _tell(
    folders: Folders,
    addresses: Addresses,
    marketplaces: Sequence[DemoMarketplace],
    report_file: Path,
    timeout_seconds: float,
    reporter: Reporter,
) -> Report:
    secrets = load_or_create(folders.secrets_file)
    report = run_interruptibly(
        lambda: run_scenario(addresses, marketplaces, secrets, reporter, timeout_seconds)
    )
    content = report.to_json(reporter.elapsed_seconds)
    write_report(report_file, content)
    reporter.heading("What runs now")
    reporter.fields(addresses.rows())
    show_look_further(addresses, report, reporter)
    reporter.line()
    if report.is_success:
        reporter.good(f"Up. `make down` stops it; the data stays in {folders.root}.")
    else:
        reporter.error(f"not live everywhere, or not counted; see {report_file}")
    reporter.json({"state": "up", "addresses": addresses.to_json(), **content})
    return report


def bring_down(data: Path, reporter: Reporter) -> None:
    """Stops what `up` started; nothing to stop is fine."""
    folders = folders_for_up(data)
    state = find_state(folders.state_file)
    if state is None:
        # What a killed keeper left: its processes died with it.
        folders.state_file.unlink(missing_ok=True)
        reporter.line("Nothing is up.")
    else:
        stop_process(state.pid)
        reporter.line(f"Stopped; the data stays in {folders.root}.")
    reporter.json({"state": "down", "stopped": state is not None})


def show_status(data: Path, reporter: Reporter) -> bool:
    """Returns whether the system is up and every service says that it serves."""
    state = find_state(folders_for_up(data).state_file)
    if state is None or state.addresses is None:
        word = "down" if state is None else "starting"
        reporter.line(f"It is {word}.")
        reporter.json({"state": word})
        return False
    health = asyncio.run(_ask_health(state.addresses))
    reporter.heading(f"Up, kept by process {state.pid}")
    reporter.fields([*state.addresses.rows(), *((f"{name} health", word) for name, word in health.items())])
    content: dict[str, Any] = {
        "state": "up",
        "pid": state.pid,
        "addresses": state.addresses.to_json(),
        "health": health,
    }
    reporter.json(content)
    return all(word == "SERVING" for word in health.values())


async def _ask_health(addresses: Addresses) -> dict[str, str]:
    services = {"orchestrator": addresses.orchestrator, "stats-service": addresses.stats}
    answers = await asyncio.gather(*(_ask_one(address) for address in services.values()))
    return dict(zip(services, answers, strict=True))


async def _ask_one(address: str) -> str:
    async with open_channel(address) as channel:
        # Its types know no methods.
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=HEALTH_SECONDS)
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
