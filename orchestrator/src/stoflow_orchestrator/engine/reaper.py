"""Finds what time alone has made due and hands it to those who decide: the safety net of every other path."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from stoflow_orchestrator.engine.admission import Admission
from stoflow_orchestrator.engine.archiver import Archiver
from stoflow_orchestrator.engine.backoff import RetryPolicy
from stoflow_orchestrator.engine.commands import (
    CancelJob,
    Command,
    ExpireJob,
    LoseLease,
    ReconcileJob,
    RedispatchTask,
    TimeOutStart,
)
from stoflow_orchestrator.engine.committer import Committer
from stoflow_orchestrator.engine.metrics import EngineMetrics
from stoflow_orchestrator.engine.publisher import Publisher
from stoflow_orchestrator.repositories.due import DueWork, find_due_work
from stoflow_service_kit.clock import Clock

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0
OUTBOX_TIMEOUT_SECONDS = 10.0


@dataclass(slots=True)
class Reaper:
    """Ticks once a second; several orchestrators may tick side by side, since everything is decided again.

    After an outage of the database or of this process leases run out through no fault of the connectors, who could
    not send heartbeats: the reaper first waits one lease.
    """

    pool: AsyncConnectionPool[AsyncConnection[Any]]
    committer: Committer
    admission: Admission
    archiver: Archiver
    publisher: Publisher
    clock: Clock
    lease: timedelta
    dispatch_timeout: timedelta
    retry: RetryPolicy
    metrics: EngineMetrics
    _spare_leases_until: float = field(default=0.0)

    async def run(self) -> None:
        """Serves for ever."""
        # A start may be the end of an outage of all orchestrators.
        last_tick = self._spare_leases()
        while True:
            await self.clock.sleep(TICK_SECONDS)
            if self.clock.monotonic() - last_tick > TICK_SECONDS + self.lease.total_seconds() / 2:
                self._spare_leases()
            try:
                await self.tick()
            except Exception:
                # Mostly an outage of the database: the next tick tries again, without a supervisor's delay.
                log.exception("tick_failed")
                self._spare_leases()
            last_tick = self.clock.monotonic()

    def _spare_leases(self) -> float:
        now = self.clock.monotonic()
        self._spare_leases_until = now + self.lease.total_seconds()
        return now

    async def tick(self) -> DueWork:
        """Does everything that is due now."""
        async with self.pool.connection() as connection:
            due = await find_due_work(
                connection, self.dispatch_timeout.total_seconds(), OUTBOX_TIMEOUT_SECONDS
            )
        self.admission.stir(
            {marketplace for marketplace, _ in due.ready}, [queue for queue in due.ready if queue[1]]
        )
        if due.has_woken:
            await self.admission.wake_due()
        if due.reconnected_accounts:
            await self.admission.resume(due.reconnected_accounts)
        # A registration that came while the last jobs began to wait for it did not find them.
        for marketplace, version in due.wanted_versions & due.connected_versions:
            await self.admission.resume_supported(marketplace, [version])
        commands: list[Command[Any]] = [ExpireJob(*item) for item in due.expired_jobs]
        if self.clock.monotonic() >= self._spare_leases_until:
            commands += [LoseLease(job_id, task_id, self.retry) for job_id, task_id in due.lost_leases]
            commands += [TimeOutStart(job_id, task_id, self.retry) for job_id, task_id in due.late_starts]
        commands += [
            RedispatchTask(
                job_id, task_id, self.dispatch_timeout, (marketplace, version) in due.connected_versions
            )
            for job_id, task_id, marketplace, version in due.unstarted
        ]
        commands += [CancelJob(*item) for item in due.jobs_of_cancelled_batches]
        commands += [ReconcileJob(job_id) for job_id in due.stuck_jobs]
        if commands:
            await self._decide(commands)
        self.archiver.archive_soon(due.tenants_to_archive)
        if due.has_left_messages:
            await self.publisher.publish_left(OUTBOX_TIMEOUT_SECONDS)
        return due

    async def _decide(self, commands: list[Command[Any]]) -> None:
        results: list[Any] = await self.committer.run_all(commands)
        for command, result in zip(commands, results, strict=True):
            if isinstance(result, Exception):
                # Found again by the next tick; one broken job must not keep the reaper from the others.
                log.error(
                    "reap_failed", command=type(command).__name__, job_id=str(command.job_id), error=result
                )
            elif result:
                self.metrics.reaped.labels(type(command).__name__).inc()
                log.info("reaped", command=type(command).__name__, job_id=str(command.job_id))
