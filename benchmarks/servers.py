"""The servers that all contenders share."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from stoflow_sandbox.servers import NatsServer, PostgresServer


@dataclass
class Servers:
    """PostgreSQL and NATS in a fresh folder, durable: fsync and synchronous_commit on, streams in files."""

    folder: Path

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        with ExitStack() as stack:
            self.postgres = stack.enter_context(PostgresServer(self.folder / "postgres" / "data"))
            self.nats = stack.enter_context(NatsServer(self.folder / "nats" / "store"))
            self._check_durable()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def roles(self) -> dict[str, int]:
        return {"postgres": self.postgres.pid, "nats": self.nats.pid}

    def settle(self) -> None:
        """Writes down what earlier runs left, so that none pays for another's checkpoint or vacuum."""
        with psycopg.connect(self.postgres.database_url("postgres"), autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def _check_durable(self) -> None:
        with psycopg.connect(self.postgres.database_url("postgres"), autocommit=True) as connection:
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                row = connection.execute(f"SHOW {name}").fetchone()
                if row != ("on",):
                    raise RuntimeError(f"{name} is {row}; the figures would mean nothing")
