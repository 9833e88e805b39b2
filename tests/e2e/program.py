"""Runs `python -m stoflow_sandbox` as a person would, and finds everything that it left."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

MARKER = "STOFLOW_E2E_RUN"
RUN_SECONDS = 100


class Program:
    """One private folder in which the program runs, and a mark that all its processes inherit."""

    def __init__(self, folder: Path, *, identity: Sequence[str] = (), **variables: str) -> None:
        self.folder = folder
        self.data = folder / "data of run"
        self.report = folder / "build" / "demo.json"
        self.home = folder / "home"
        self.home.mkdir(exist_ok=True)
        self._identity = identity
        self._mark = uuid.uuid4().hex
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        self._environment = {
            **inherited,
            "HOME": str(self.home),
            "XDG_CACHE_HOME": "",
            MARKER: self._mark,
            # What the surrounding shell names is not what the tests are about.
            "DATABASE_URL": "",
            "NATS_URL": "",
            **variables,
        }

    def start(self, command: str, *options: str) -> subprocess.Popen[str]:
        """Starts a command; its lines can be read while it runs."""
        arguments = [command, "--data", str(self.data), *options]
        if command in {"demo", "up"}:
            arguments += ["--report", str(self.report)]
        return subprocess.Popen(
            [*self._identity, sys.executable, "-m", "stoflow_sandbox", *arguments],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        process = self.start(command, *options)
        try:
            output, errors = process.communicate(timeout=RUN_SECONDS)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def run_line(self, line: str) -> subprocess.CompletedProcess[str]:
        """Runs a printed line in a shell, where the person stands who reads it."""
        return subprocess.run(
            line,
            shell=True,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )

    def list_processes(self) -> dict[int, str]:
        """Returns the command lines of all processes of this run that live, by pid."""
        mark = f"{MARKER}={self._mark}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                # Ended meanwhile, or somebody else's.
                continue
        return found

    def wait_until_no_process(self, seconds: float = 15) -> dict[int, str]:
        """Returns those still alive at the deadline."""
        deadline = time.monotonic() + seconds
        while (alive := self.list_processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return alive


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Reads a running program's lines up to the one that holds the text; returns all of them."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    errors = process.stderr.read() if process.stderr is not None else ""
    raise AssertionError(f"{text!r} was never printed:\n{''.join(lines)}\n{errors}")


def printed_lines(output: str, start: str) -> list[str]:
    """Returns the printed lines that begin so, without their indent."""
    return [line.strip() for line in output.splitlines() if line.strip().startswith(start)]
