"""Cancels what is still under way for accounts whose sellers' data were erased."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from stoflow_orchestrator.engine.commands import CancelJob, Command
from stoflow_orchestrator.engine.committer import Committer
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.hint import HintRepository
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

TICK_SECONDS = 3.0
ERASURES_A_TICK = 20
JOBS_A_TICK = 100


class AccountErasures:
    """Looks every three seconds. Several orchestrators may: a job that is cancelled twice is cancelled once."""

    def __init__(self, database: Database, committer: Committer, clock: Clock) -> None:
        self._database = database
        self._committer = committer
        self._clock = clock

    async def run(self) -> None:
        """Serves for ever."""
        while True:
            await self._clock.sleep(TICK_SECONDS)
            try:
                await self.tick()
            except Exception:
                # Mostly an outage of the database: an erasure stays unfinished until its jobs are cancelled.
                log.exception("erasures_failed")

    async def tick(self) -> None:
        """Cancels jobs of erased accounts."""
        async with self._database.public_transaction() as connection:
            erasures = await HintRepository(connection).list_unfinished(ERASURES_A_TICK)
        for erasure in erasures:
            await self._cancel_jobs(erasure)

    async def _cancel_jobs(self, erasure: Row[Any]) -> None:
        async with self._database.public_transaction() as connection:
            hints = HintRepository(connection)
            job_ids = await hints.list_live_jobs(erasure.tenant_id, erasure.account_id, JOBS_A_TICK)
            if not job_ids:
                await hints.finish_erasure(erasure.erasure_id)
                return
        commands: list[Command[Any]] = [CancelJob(erasure.tenant_id, job_id) for job_id in job_ids]
        for result in await self._committer.run_all(commands):
            if isinstance(result, Exception):
                log.warning("erased_job_not_cancelled", account_id=str(erasure.account_id), error=str(result))
