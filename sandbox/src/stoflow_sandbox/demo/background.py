"""Starts and stops the keeper, from the outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from stoflow_sandbox.demo.addresses import Addresses
from stoflow_sandbox.demo.console import ERROR_PREFIX
from stoflow_sandbox.demo.errors import DemoError
from stoflow_sandbox.demo.folders import Folders
from stoflow_sandbox.demo.process_identity import find_identity
from stoflow_sandbox.demo.state_file import find_state

POLL_SECONDS = 0.05
# Longer than the keeper needs when every service uses up its own grace period.
STOP_SECONDS = 60.0


class KeeperProcess:
    """A keeper that this process started; it stays when this process ends."""

    def __init__(self, folders: Folders, marketplaces: Iterable[str], timeout_seconds: float) -> None:
        self._folders = folders
        self._log = folders.logs / "keeper.log"
        self._errors = folders.logs / "keeper.errors.log"
        self._shown_bytes = 0
        with self._log.open("wb") as output, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "stoflow_sandbox.demo.keeper",
                    str(folders.root), f"{timeout_seconds:g}", *marketplaces,
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                # A session of its own: it outlives the terminal, and Ctrl-C there does not reach it.
                start_new_session=True,
            )  # fmt: skip

    def wait_up(self, show: Callable[[str], None]) -> Addresses:
        """Passes on what the keeper prints until the system is up.

        Raises:
            DemoError: The keeper ended instead; the message is the keeper's.
        """
        while True:
            code = self._process.poll()
            state = find_state(self._folders.state_file)
            self._pass_on(show)
            if state is not None and state.pid == self._process.pid and state.addresses is not None:
                return state.addresses
            if code is not None:
                reason = self._errors.read_text(errors="replace").strip().removeprefix(ERROR_PREFIX)
                raise DemoError(f"{reason}\nthe logs are in {self._folders.logs}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        stop_process(self._process.pid)

    def _pass_on(self, show: Callable[[str], None]) -> None:
        with self._log.open("rb") as log:
            log.seek(self._shown_bytes)
            whole_lines = log.read().rpartition(b"\n")[0]
        if whole_lines:
            self._shown_bytes += len(whole_lines) + 1
            show(whole_lines.decode(errors="replace"))


def stop_process(pid: int) -> None:
    """Asks a keeper to end and waits; kills it when it does not. What it started ends with it either way."""
    identity = find_identity(pid)
    if identity is None:
        return
    # It may end by itself at any moment, which is what is wanted.
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while find_identity(pid) == identity:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS)


def folders_for_up(data: Path) -> Folders:
    """Returns where `up` keeps its data: beside the temporary folders of `demo`."""
    return Folders(data.resolve() / "up")
