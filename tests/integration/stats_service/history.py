"""The orchestrator's history of events, filled as the orchestrator fills it, and served by a real orchestrator."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from itertools import groupby
from pathlib import Path

import psycopg
import pytest
from stoflow.events.v1 import event_pb2

from stoflow_sandbox.processes import Supervisor
from stoflow_sandbox.servers import NatsServer, PostgresServer
from tests.support.orchestrator import start_orchestrator


@dataclass(frozen=True)
class History:
    """An orchestrator with nothing but a history."""

    address: str
    database_url: str

    def add(self, *events: event_pb2.Event, size: int = 50) -> None:
        """Adds events, a message for at most so many of one hour."""
        ordered = sorted(events, key=lambda event: event.occur_time.seconds)
        with psycopg.connect(self.database_url) as connection:
            for _, hour in groupby(ordered, key=lambda event: event.occur_time.seconds // 3_600):
                members = list(hour)
                for start in range(0, len(members), size):
                    part = members[start : start + size]
                    connection.execute(
                        "INSERT INTO public.result_events (message_id, create_time, payload) VALUES (%s, %s, %s)",
                        [
                            uuid.uuid4(),
                            part[-1].occur_time.ToDatetime(tzinfo=UTC),
                            event_pb2.EventBatch(events=part).SerializeToString(),
                        ],
                    )

    def clear(self) -> None:
        with psycopg.connect(self.database_url) as connection:
            connection.execute("TRUNCATE public.result_events")


@pytest.fixture(scope="package")
def served_history(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[History]:
    """An orchestrator process with a database and a NATS of its own."""
    folder: Path = tmp_path_factory.mktemp("history")
    url = postgres_server.create_database(f"history_{uuid.uuid4().hex}")
    with NatsServer(folder / "nats") as nats_server, Supervisor(folder / "services") as supervisor:
        # What is added here with old times is to stay.
        orchestrator = start_orchestrator(
            supervisor, url, nats_server.url, folder, RETENTION_EVENTS_DAYS="36500"
        )
        yield History(orchestrator.grpc_address, url)


@pytest.fixture
def history(served_history: History) -> Iterator[History]:
    """The history, empty."""
    served_history.clear()
    yield served_history
    served_history.clear()
