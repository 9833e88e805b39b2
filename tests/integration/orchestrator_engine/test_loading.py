"""What the engine loads belongs to jobs whose locks it holds."""

from __future__ import annotations

import asyncio
from uuid import UUID

import psycopg

from stoflow_orchestrator.engine.commands.control import RetryJob
from stoflow_orchestrator.engine.loading import load_for_commands
from stoflow_orchestrator.repositories.history import unarchive_jobs
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import step
from tests.integration.orchestrator_engine.control import Scene, eventually


async def test_tasks_of_a_job_that_comes_back_meanwhile_are_not_loaded(shop: Shop) -> None:
    """A job that another call takes back between the locks and the tasks stays unlocked, and so do its tasks."""
    scene = Scene(shop, await shop.open(step("make", once="listing"), default_max_retries=0))
    job_id = UUID(await scene.failed())
    url = shop.orchestrator.database_url
    async with (
        await psycopg.AsyncConnection.connect(url) as other,
        await psycopg.AsyncConnection.connect(url) as own,
    ):
        # The tasks cannot be read before the other call has committed.
        await other.execute("LOCK TABLE public.live_tasks IN ACCESS EXCLUSIVE MODE")
        loading = asyncio.create_task(load_for_commands(own, [RetryJob(shop.tenant_id, job_id)]))
        waits = "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted"

        async def is_waiting() -> bool:
            return bool(await shop.query(waits, own.info.backend_pid))

        await eventually(is_waiting, "the tasks are asked for")
        assert await unarchive_jobs(other, shop.tenant_id, [job_id]) == 1
        await other.commit()
        changes = await loading
        assert (changes.jobs, changes.tasks, changes.effects) == ({}, {}, {})
