"""A NATS server with JetStream on loopback, bound to the life of this process."""

from __future__ import annotations

import json
import signal
import subprocess
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from stoflow_sandbox import lifeline
from stoflow_sandbox.servers.errors import PortTakenError, ServerError
from stoflow_sandbox.servers.folder_lock import FolderLock
from stoflow_sandbox.servers.ports import LOOPBACK

START_TIMEOUT_SECONDS = 15.0
STOP_GRACE_SECONDS = 10.0
POLL_SECONDS = 0.005
FREE_PORT = -1


class NatsServer:
    """One server; its streams live in store_folder and survive kill() and restart().

    Args:
        store_folder: JetStream's files; created when missing. Log, lock and port file lie beside it.
        port: 0 takes a free port, which the server keeps over restarts.
        config_file: Further settings (users, TLS, limits) in nats-server's own format.
    """

    def __init__(self, store_folder: Path, *, port: int = 0, config_file: Path | None = None) -> None:
        self._store = store_folder.resolve()
        self._ports_folder = self._store.with_name(f"{self._store.name}.ports")
        self._lock = FolderLock(self._store)
        self._port = port or FREE_PORT
        self._config_file = config_file
        self._process: subprocess.Popen[bytes] | None = None
        self.log = self._store.with_name(f"{self._store.name}.log")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Address for clients, without credentials."""
        if self._port == FREE_PORT:
            raise ServerError("NATS was never started, so it has no address yet")
        return f"nats://{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int:
        return self._require_process().pid

    def start(self) -> None:
        """Starts the server and waits until it accepts connections; the port of an earlier start is kept."""
        if self._process is not None:
            raise ServerError(f"NATS is running already (pid {self._process.pid})")
        self._store.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._ports_folder.mkdir(exist_ok=True, mode=0o700)
        self._lock.acquire()
        try:
            self._spawn()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops the server, flushing its files, and gives the folder free."""
        if self._process is not None:
            lifeline.end(self._process, signal.SIGTERM, STOP_GRACE_SECONDS)
            self._process = None
        self._lock.release()

    def kill(self) -> None:
        """Sends SIGKILL, as a crash would; start() brings the server back on the same port."""
        lifeline.kill_group(self._require_process())
        self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def suspend(self) -> None:
        """Freezes the server (SIGSTOP): connections stay open and nothing answers."""
        self._require_process().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._require_process().send_signal(signal.SIGCONT)

    def _spawn(self) -> None:
        for stale in self._ports_folder.glob("*.ports"):
            stale.unlink()
        log_start = self.log.stat().st_size if self.log.exists() else 0
        process = lifeline.spawn(self._command(), log=self.log, death_signal=signal.SIGTERM)
        self._process = process
        # Named after the pid, so another server's file is never mistaken for this one's.
        ports_file = self._ports_folder / f"nats-server_{process.pid}.ports"
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while (port := _read_port(ports_file)) is None:
            if process.poll() is not None:
                with self.log.open("rb") as log:
                    log.seek(log_start)
                    output = log.read().decode(errors="replace")
                kind = PortTakenError if "address already in use" in output else ServerError
                raise kind(
                    f"NATS ended with exit code {process.returncode} while starting in {self._store}; "
                    f"its log {self.log} ends with:\n{lifeline.tail(self.log)}"
                )
            if time.monotonic() > deadline:
                raise ServerError(
                    f"NATS did not listen after {START_TIMEOUT_SECONDS:g} s in {self._store}; "
                    f"its log {self.log} ends with:\n{lifeline.tail(self.log)}"
                )
            time.sleep(POLL_SECONDS)
        self._port = port

    def _command(self) -> Sequence[str | Path]:
        program = Path(sysconfig.get_path("scripts")) / "nats-server"
        command: list[str | Path] = [program]
        if self._config_file is not None:
            command += ["--config", self._config_file]
        return [
            *command, "--jetstream", "--store_dir", self._store, "--addr", LOOPBACK,
            "--port", str(self._port), "--ports_file_dir", self._ports_folder,
        ]  # fmt: skip

    def _require_process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerError("NATS is not running")
        return self._process


def _read_port(ports_file: Path) -> int | None:
    try:
        content = json.loads(ports_file.read_text())
    except (FileNotFoundError, ValueError):
        # Not written yet, or half-written: the next look finds it whole.
        return None
    return int(content["nats"][0].rpartition(":")[2])
