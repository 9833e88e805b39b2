"""Writes whatever commands wait as one transaction of a few set-based statements.

Every change of a live job passes here or through admission, under the lock of the job's row. A group is decided
in memory, so its statements are few whatever its size; publication follows the commit. When the process dies
between the two, the sweep of the outbox and the reaper publish what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from stoflow_orchestrator.engine.commands import Command
from stoflow_orchestrator.engine.contention import Contention
from stoflow_orchestrator.engine.intake import Intake, NewJob
from stoflow_orchestrator.engine.loading import load_for_commands
from stoflow_orchestrator.engine.metrics import EngineMetrics
from stoflow_orchestrator.engine.pool import transaction, unavailable_when_unreachable
from stoflow_orchestrator.engine.publication import Publication
from stoflow_orchestrator.engine.writing import write_changes
from stoflow_orchestrator.repositories import intake as intake_repository
from stoflow_service_kit.batching import Batcher

Connection = AsyncConnection[Any]
ResultT = TypeVar("ResultT")
Item = Command[Any] | NewJob

MAX_GROUP = 100
WORKERS = 2


class Committer:
    """Takes commands of many callers and gives each its own result."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Connection],
        on_commit: Callable[[Publication], None],
        take_acknowledged: Callable[[], Sequence[UUID]],
        metrics: EngineMetrics,
        contention: Contention,
    ) -> None:
        """Prepares a committer; it needs no start.

        Args:
            pool: For the groups' transactions.
            on_commit: Publishes what a commit left; must not block.
            take_acknowledged: Hands over outbox rows that JetStream has acknowledged, to be deleted with the
                next group. Lost in a crash, they are published once more and dropped by their id.
            metrics: Told the groups' sizes.
            contention: What makes jobs yield.
        """
        self._pool = pool
        self._on_commit = on_commit
        self._take_acknowledged = take_acknowledged
        self._contention = contention
        self._batcher: Batcher[Item, Any] = Batcher(
            "committer",
            self._flush,
            max_group=MAX_GROUP,
            workers=WORKERS,
            observe_group=metrics.group_size.observe,
        )
        metrics.waiting.set_function(lambda: self._batcher.waiting)

    async def run(self, command: Command[ResultT]) -> ResultT:
        """Decides one command.

        Raises:
            ResourceExhaustedError: Too many commands wait.
            UnavailableError: The committer is closed, or the database is out of reach.
        """
        return cast("ResultT", await self._batcher.submit(command))

    async def run_all(self, commands: Sequence[Command[ResultT]]) -> list[ResultT | Exception]:
        """Decides several commands; returns a result or an exception for each, in order."""
        return cast("list[ResultT | Exception]", await self._batcher.submit_all(commands))

    async def create(self, job: NewJob) -> Intake:
        """Creates a job, or finds the one created before under the same request id."""
        return cast("Intake", await self._batcher.submit(job))

    async def close(self) -> None:
        """Refuses new commands and writes those that wait."""
        await self._batcher.close()

    async def _flush(self, items: Sequence[Item]) -> Sequence[Any]:
        with unavailable_when_unreachable(is_single=len(items) == 1):
            return await self._write(items)

    async def _write(self, items: Sequence[Item]) -> Sequence[Any]:
        commands = [item for item in items if isinstance(item, Command)]
        new_jobs = [item for item in items if isinstance(item, NewJob)]
        async with transaction(self._pool) as connection:
            results: dict[int, Any] = {}
            publication = Publication()
            if commands:
                changes = await load_for_commands(connection, commands)
                changes.contention = self._contention
                results = {id(command): command.decide(changes) for command in commands}
                publication = await write_changes(connection, changes, self._take_acknowledged())
            if new_jobs:
                results.update(await self._create(connection, new_jobs, publication))
        self._on_commit(publication)
        return [results[id(item)] for item in items]

    async def _create(
        self, connection: Connection, jobs: Sequence[NewJob], publication: Publication
    ) -> dict[int, Intake]:
        results: dict[int, Intake] = {}
        fresh: dict[intake_repository.RequestKey, NewJob] = {}
        claimed = await intake_repository.claim_requests(connection, jobs)
        repeated: list[NewJob] = []
        for job in jobs:
            key = (job.tenant_id, job.request_id)
            # The same request twice in one group: the first creates, the others read.
            if key in claimed and key not in fresh:
                fresh[key] = job
            else:
                repeated.append(job)
        created = await intake_repository.insert_jobs(connection, list(fresh.values())) if fresh else {}
        refused = [job for job in fresh.values() if job.job_id not in created]
        if refused:
            subjects = await intake_repository.find_live_subjects(connection, refused)
            await intake_repository.forget_requests(
                connection, [(job.tenant_id, job.request_id) for job in refused]
            )
            results.update({id(job): Intake(existing_job_id=subjects.get(job.job_id)) for job in refused})
        for job in fresh.values():
            if job.job_id in created:
                results[id(job)] = Intake(job_id=job.job_id, create_time=created[job.job_id])
                publication.stirred.add(job.marketplace)
                publication.queued.add((job.marketplace, job.tenant_id))
        if repeated:
            results.update(await self._read_repeated(connection, repeated, results, fresh))
        return results

    @staticmethod
    async def _read_repeated(
        connection: Connection,
        repeated: Sequence[NewJob],
        results: dict[int, Intake],
        fresh: dict[intake_repository.RequestKey, NewJob],
    ) -> dict[int, Intake]:
        keys = [(job.tenant_id, job.request_id) for job in repeated]
        known = await intake_repository.read_requests(connection, keys)
        found: dict[int, Intake] = {}
        for job, key in zip(repeated, keys, strict=True):
            if key not in known:
                # Its twin in this group was refused, and so is this one.
                found[id(job)] = results[id(fresh[key])]
                continue
            method, body_sha256, result_id = known[key]
            same = (method, body_sha256) == (job.method, job.body_sha256)
            found[id(job)] = Intake(job_id=UUID(result_id)) if same else Intake(reused=True)
        return found
