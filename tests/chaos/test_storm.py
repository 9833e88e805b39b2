"""Orchestrators and connectors are killed while everything fails, is doubled or is called off; nothing is lost."""

from __future__ import annotations

import os
import random
import uuid
from pathlib import Path

import pytest

from stoflow_sandbox.servers import PostgresServer
from tests.chaos.storm.size import FULL, SMALL, StormSize
from tests.chaos.storm.stage import open_stage
from tests.chaos.storm.storm import Storm, summarize, write_figures

REPORT = Path(os.environ.get("STORM_REPORT", "build/chaos-run.json"))


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SMALL, id="small", marks=pytest.mark.timeout(360)),
        pytest.param(FULL, id="full", marks=[pytest.mark.long, pytest.mark.timeout(1_500)]),
    ],
)
async def test_storm(
    size: StormSize, postgres_server: PostgresServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is lost, accepted twice or left behind, and every effect happened once, whoever was killed when."""
    seed = int(os.environ.get("STORM_SEED") or random.SystemRandom().randrange(1_000_000))
    with capsys.disabled():
        print(f"\nSTORM_SEED={seed}")  # noqa: T201 - a storm that fails is to be sent again
    database_url = postgres_server.create_database(f"storm_{uuid.uuid4().hex}")
    async with open_stage(tmp_path, database_url, size, seed) as stage:
        violations, figures = await Storm(stage, size, seed).play()
    write_figures(REPORT, figures)
    with capsys.disabled():
        print(summarize(figures))  # noqa: T201 - so that a run in CI shows what it was worth
    assert [str(violation) for violation in violations] == []
    assert figures["jobs"] >= size.jobs
    assert sum(len(kill["killed"]) for kill in figures["kills"]) == 6
