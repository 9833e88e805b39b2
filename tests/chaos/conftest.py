"""The kill matrix of this run."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from stoflow_sandbox.servers import PostgresServer
from tests.chaos.kill_matrix.ebay import EbayMarket
from tests.chaos.kill_matrix.etsy import EtsyMarket
from tests.chaos.kill_matrix.report import write_report
from tests.chaos.kill_matrix.runner import KillMatrix
from tests.chaos.kill_matrix.stage import open_stage
from tests.chaos.kill_matrix.table import MatrixCell

MARKETS = (EbayMarket(), EtsyMarket())
RUNS = int(os.environ.get("KILL_MATRIX_RUNS", "1"))
PARALLEL = int(os.environ.get("KILL_MATRIX_PARALLEL", "4"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kill_matrix(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[KillMatrix]:
    """Every selected cell, begun at once; KILL_MATRIX_REPORT names the file that the report goes to."""
    database_url = postgres_server.create_database(f"chaos_{uuid.uuid4().hex}")
    folder = tmp_path_factory.mktemp("chaos")
    async with open_stage(folder, database_url, MARKETS) as stage:
        matrix = KillMatrix(stage, {market.name: market for market in MARKETS}, RUNS, PARALLEL)
        matrix.begin(selected_cells(request.session.items))
        yield matrix
        if report := os.environ.get("KILL_MATRIX_REPORT"):
            write_report(Path(report), matrix.entries())
        await matrix.close()


def selected_cells(items: list[pytest.Item]) -> list[MatrixCell]:
    """Returns the cells whose tests run, in the tests' order."""
    specs = (getattr(item, "callspec", None) for item in items)
    values = (spec.params.get("cell") for spec in specs if spec is not None)
    return [value for value in values if isinstance(value, MatrixCell)]
