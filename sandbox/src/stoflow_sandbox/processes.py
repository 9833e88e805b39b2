"""Runs the services of one machine as subprocesses: start, wait until ready, stop in reverse order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stoflow_sandbox import lifeline
from stoflow_sandbox.lifeline import ProcessError

READY_TIMEOUT_SECONDS = 30.0
STOP_GRACE_SECONDS = 10.0
POLL_SECONDS = 0.02


class ServiceProcess:
    """One service; can be started again after it was stopped or killed."""

    def __init__(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.ready_file = folder / f"{name}.ready.json"
        self._command = list(command)
        self._environment = {**environment, "READY_FILE": str(self.ready_file)}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._require_process().pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._require_process().poll()

    def start(self) -> None:
        if self.is_running:
            raise ProcessError(f"{self.name} is running already (pid {self.pid})")
        self.ready_file.unlink(missing_ok=True)
        self._process = lifeline.spawn(self._command, log=self.log, environment=self._environment)

    def wait_ready(self, timeout_seconds: float = READY_TIMEOUT_SECONDS) -> dict[str, Any]:
        """Waits for the ready file and returns its content: pid and the addresses the service listens on."""
        process = self._require_process()
        deadline = time.monotonic() + timeout_seconds
        while True:
            ready = self.find_ready()
            if ready is not None:
                return ready
            if process.poll() is not None:
                raise ProcessError(
                    f"{self.name} ended with exit code {process.returncode} before it was ready; "
                    f"its log {self.log} ends with:\n{lifeline.tail(self.log)}"
                )
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"{self.name} was not ready after {timeout_seconds:g} s; "
                    f"its log {self.log} ends with:\n{lifeline.tail(self.log)}"
                )
            time.sleep(POLL_SECONDS)

    def find_ready(self) -> dict[str, Any] | None:
        """Returns the ready file's content, or None while the service is not ready."""
        try:
            content = json.loads(self.ready_file.read_text())
        except FileNotFoundError:
            return None
        if not isinstance(content, dict):
            raise ProcessError(f"{self.name} wrote no JSON object to {self.ready_file}")
        return content

    def wait_ended(self, timeout_seconds: float) -> int:
        """Waits until the service ends by itself and returns its exit code."""
        try:
            return self._require_process().wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise ProcessError(f"{self.name} still runs after {timeout_seconds:g} s") from None

    def stop(self, grace_seconds: float = STOP_GRACE_SECONDS) -> int:
        """Sends SIGTERM, SIGKILL after the grace period, and returns the exit code."""
        return lifeline.end(self._require_process(), signal.SIGTERM, grace_seconds)

    def kill(self) -> None:
        """Sends SIGKILL, as a crash would, and waits until the process is gone."""
        lifeline.kill_group(self._require_process())

    def suspend(self) -> None:
        """Freezes the service (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a suspended service go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def _require_process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ProcessError(f"{self.name} was never started")
        return self._process


class Supervisor:
    """Starts services with one log each under a folder; leaving the context stops them, last one first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._services: list[ServiceProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()

    @property
    def services(self) -> Sequence[ServiceProcess]:
        return tuple(self._services)

    def start(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None
    ) -> ServiceProcess:
        """Starts a service.

        Args:
            name: Names the log and the ready file, so it must be unique here.
            command: Program and arguments.
            environment: Added to this process's environment; READY_FILE is set besides.
        """
        if any(service.name == name for service in self._services):
            raise ProcessError(f"a service named {name} was started before")
        self._folder.mkdir(parents=True, exist_ok=True)
        service = ServiceProcess(name, command, {**os.environ, **(environment or {})}, self._folder)
        service.log.unlink(missing_ok=True)
        service.start()
        self._services.append(service)
        return service

    def find_ended(self) -> ServiceProcess | None:
        """Returns a service that no longer runs, or None when all do."""
        return next((service for service in self._services if not service.is_running), None)

    def stop_all(self, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """Stops what runs in reverse order; a second interrupt meanwhile kills the rest at once."""
        remaining = list(reversed(self._services))
        try:
            while remaining:
                remaining[0].stop(grace_seconds)
                remaining.pop(0)
        finally:
            for service in remaining:
                service.kill()
