"""Connectors are killed while they read; the catalogue says in the end what eBay does, and nothing else."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from stoflow.accounts.v1 import account_pb2
from stoflow.jobs.v1 import job_pb2

from stoflow_sandbox.servers import PostgresServer
from tests.chaos.kill_matrix.stage import Stage, open_stage
from tests.chaos.reading.cell import MARKET, ReadingRun
from tests.chaos.reading.table import FAULTS, ROWS, SHORT, ReadingRow

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

CELLS = [
    pytest.param(
        row,
        fault,
        id=f"{row.action}-{row.task}-{fault}",
        marks=[] if (row.task, fault) in SHORT else [pytest.mark.long],
    )
    for row in ROWS
    for fault in FAULTS
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """The servers that all cells share."""
    url = postgres_server.create_database(f"reading_{uuid.uuid4().hex}")
    async with open_stage(tmp_path_factory.mktemp("reading"), url, [MARKET]) as stage:
        yield stage


@pytest.mark.parametrize(("row", "fault"), CELLS)
async def test_reading_survives(stage: Stage, row: ReadingRow, fault: str) -> None:
    """Whatever befalls the connector in this task, the job ends and the catalogue agrees with eBay."""
    async with ReadingRun(stage, row, f"ebay-r{uuid.uuid4().hex[:8]}") as run:
        await play(run, fault)
        job = await run.end()
        await stage.controls[MARKET.name].clear_faults()
        if row.action == "connect" and job.state == job_pb2.JOB_STATE_FAILED:
            await begin_again(run)
        else:
            assert job.state == job_pb2.JOB_STATE_COMPLETED, job
        await run.require_truth()


async def play(run: ReadingRun, fault: str) -> None:
    """Places the fault, submits the job, and sees to it that somebody can end it."""
    if fault in {"timeout", "error", "reset"}:
        kinds = {"timeout": "timeout_after_effect", "reset": "reset_after_effect", "error": "status"}
        rule = {"status": 503, "apply": "before"} if fault == "error" else {}
        added = await run.add_fault(kinds[fault], **rule)
        await run.submit()
        await run.wait_for_hit(added)
        return
    held = await run.add_fault("hold", apply="before")
    await run.submit()
    await run.wait_for_hit(held)
    if fault == "stop_past_lease":
        run.first.suspend()
        await run.take_over()
        await run.end()
        await run.release(held)
        run.first.resume()
        # Drains: it reports, releases and deregisters what it believes to have.
        await asyncio.to_thread(run.first.stop)
        return
    if fault == "kill_before_report":
        run.relay.freeze_requests()
        await run.release(held)
        await asyncio.sleep(0.3)
    run.first.kill()
    await run.take_over()


async def begin_again(run: ReadingRun) -> None:
    """A code that was exchanged by who is dead is worth nothing; the seller's next consent is."""
    assert await run.account_state() != account_pb2.ACCOUNT_STATE_CONNECTED
    await run.submit()
    assert (await run.end()).state == job_pb2.JOB_STATE_COMPLETED
