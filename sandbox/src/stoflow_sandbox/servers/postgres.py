"""A PostgreSQL 18 server on loopback with a password, bound to the life of this process."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from stoflow_sandbox import lifeline
from stoflow_sandbox.servers.errors import FolderInUseError, PortTakenError, ServerError
from stoflow_sandbox.servers.folder_lock import FolderLock
from stoflow_sandbox.servers.identity import choose_identity
from stoflow_sandbox.servers.ports import LOOPBACK, find_free_port
from stoflow_sandbox.servers.postgres_files import (
    ADMIN_USER,
    child_environment,
    find_binaries,
    initialise,
    read_password,
    remove_foreign_pid_file,
)

DATABASE = "stoflow"
START_TIMEOUT_SECONDS = 30.0
STOP_GRACE_SECONDS = 15.0
POLL_SECONDS = 0.01
START_ATTEMPTS = 5
# Durability is never traded for speed here: what the tests and benchmarks measure is what a crash leaves.
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "jit": "off",
    # One migration locks the tables of a whole schema.
    "max_locks_per_transaction": "256",
    # In the data folder, not in /dev/shm, where a killed server would leave it behind.
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
}


class PostgresServer:
    """One server; its data lives in data_folder and survives kill() and restart().

    Args:
        data_folder: Created and initialised when missing. Password (mode 0600), log and lock lie beside it.
        port: 0 takes a free port, which the server keeps over restarts.
    """

    def __init__(self, data_folder: Path, *, port: int = 0) -> None:
        self._data = data_folder.resolve()
        self._lock = FolderLock(self._data)
        self._port = port
        self._is_port_chosen = port != 0
        self._password = ""
        self._prefix: tuple[str, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None
        self.log = self._data.with_name(f"{self._data.name}.log")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Address of the database `stoflow`, with user and password."""
        return self.database_url(DATABASE)

    @property
    def port(self) -> int:
        return self._port

    @property
    def pid(self) -> int:
        return self._require_process().pid

    def database_url(self, database: str) -> str:
        """Address of any database of this server, whether it exists or not."""
        if not self._password:
            raise ServerError("PostgreSQL was never started, so it has no address yet")
        return f"postgresql://{ADMIN_USER}:{self._password}@{LOOPBACK}:{self._port}/{database}"

    def create_database(self, name: str) -> str:
        """Creates an empty database and returns its address."""
        with self._connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Drops a database, ending its connections; an absent one is fine."""
        with self._connect() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def start(self) -> None:
        """Starts the server and waits until it answers; the port of an earlier start is kept."""
        if self._process is not None:
            raise ServerError(f"PostgreSQL is running already (pid {self._process.pid})")
        self._data.parent.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        try:
            self._prefix = choose_identity(find_binaries() / "postgres", self._data)
            initialise(self._data, self._prefix, self.log)
            self._password = read_password(self._data)
            self._start_on_some_port()
            self._ensure_database()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Disconnects the clients, writes everything down, stops and gives the folder free."""
        if self._process is not None:
            lifeline.end(self._process, signal.SIGINT, STOP_GRACE_SECONDS)
            self._process = None
        self._lock.release()

    def kill(self) -> None:
        """Sends SIGKILL, as a crash would; start() recovers on the same port."""
        process = self._require_process()
        # Only the postmaster: its children notice and end, as they would after a real crash.
        process.kill()
        process.wait()
        self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def suspend(self) -> None:
        """Freezes the postmaster (SIGSTOP): no new connection is answered, open ones go on."""
        self._require_process().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._require_process().send_signal(signal.SIGCONT)

    def _start_on_some_port(self) -> None:
        for attempt in range(1, START_ATTEMPTS + 1):
            if not self._is_port_chosen:
                self._port = find_free_port()
            try:
                self._spawn()
            except PortTakenError:
                # A free port can be lost between choosing and binding it; a chosen one is not ours to change.
                if self._is_port_chosen or attempt == START_ATTEMPTS:
                    raise
            else:
                self._is_port_chosen = True
                return

    def _spawn(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        remove_foreign_pid_file(self._data, deadline)
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command: list[str | Path] = [
            find_binaries() / "postgres",
            "-D",
            self._data,
            "-p",
            str(self._port),
            *settings,
        ]
        while True:
            log_start = self.log.stat().st_size if self.log.exists() else 0
            self._process = lifeline.spawn(
                command,
                log=self.log,
                environment=child_environment(),
                death_signal=signal.SIGINT,
                prefix=self._prefix,
            )
            if self._is_ready_by(deadline):
                return
            output = self._read_log(log_start)
            self._process = None
            # After a SIGKILL the old server's children need a moment to notice and leave.
            if "is still in use" not in output or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        if "could not create any TCP/IP sockets" in output:
            kind: type[ServerError] = PortTakenError
        else:
            kind = FolderInUseError if "lock file" in output else ServerError
        raise kind(
            f"PostgreSQL did not start in {self._data} on {LOOPBACK}:{self._port}; "
            f"its log {self.log} ends with:\n{lifeline.tail(self.log)}"
        )

    def _is_ready_by(self, deadline: float) -> bool:
        """Waits until the server that answers is the one started here; False when it ended instead."""
        process = self._require_process()
        while process.poll() is None:
            if self._answers():
                return True
            if time.monotonic() > deadline:
                lifeline.kill_group(process)
                return False
            time.sleep(POLL_SECONDS)
        return False

    def _answers(self) -> bool:
        try:
            with self._connect() as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.Error:
            # Not listening yet, still recovering, or somebody else's server refusing our password.
            return False
        return row is not None and Path(row[0]) == self._data

    def _connect(self) -> psycopg.Connection[tuple[str, ...]]:
        return psycopg.connect(self.database_url("postgres"), autocommit=True, connect_timeout=2)

    def _ensure_database(self) -> None:
        with self._connect() as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if found is None:
            self.create_database(DATABASE)

    def _read_log(self, start: int) -> str:
        with self.log.open("rb") as log:
            log.seek(start)
            return log.read().decode(errors="replace")

    def _require_process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerError("PostgreSQL is not running")
        return self._process
