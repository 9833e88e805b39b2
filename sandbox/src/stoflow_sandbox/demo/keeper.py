"""The process that keeps a system up: `python -m stoflow_sandbox.demo.keeper <data> <timeout seconds> [<name>…]`.

Run detached by `up`; ends in order on SIGTERM. Killed, it takes every process of the system with it.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from stoflow_sandbox.demo.console import Reporter
from stoflow_sandbox.demo.errors import DemoError
from stoflow_sandbox.demo.folders import Folders
from stoflow_sandbox.demo.marketplaces import DemoMarketplace, choose_marketplaces
from stoflow_sandbox.demo.ports import KeptPorts
from stoflow_sandbox.demo.restarter import Restarter
from stoflow_sandbox.demo.services import System
from stoflow_sandbox.demo.settings import DemoSettings
from stoflow_sandbox.demo.signals import raise_on_signals
from stoflow_sandbox.demo.state_file import write_state
from stoflow_sandbox.lifeline import ProcessError
from stoflow_sandbox.servers.folder_lock import FolderLock
from stoflow_service_kit.settings import load_settings

LOOK_SECONDS = 0.5


def keep(
    folders: Folders, marketplaces: Sequence[DemoMarketplace], timeout_seconds: float, reporter: Reporter
) -> None:
    """Starts the system, says so in the state file, and stays until a signal comes."""
    settings = load_settings(DemoSettings)
    lock = FolderLock(folders.root)
    lock.acquire()
    try:
        write_state(folders.state_file, None)
        ports = KeptPorts(folders.ports_file)
        system = System(settings, folders, ports, marketplaces, reporter, timeout_seconds)
        with system as addresses:
            restarter = Restarter(system.services, reporter)
            write_state(folders.state_file, addresses)
            never = threading.Event()
            while not never.wait(LOOK_SECONDS):
                restarter.look()
    finally:
        folders.state_file.unlink(missing_ok=True)
        lock.release()


def main(arguments: list[str]) -> int:
    """Returns the exit code; what went wrong is printed, for the one who started it to pass on."""
    raise_on_signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    reporter = Reporter()
    try:
        marketplaces = choose_marketplaces(arguments[2:])
        keep(Folders(Path(arguments[0])), marketplaces, float(arguments[1]), reporter)
    except (ProcessError, DemoError) as error:
        reporter.error(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
