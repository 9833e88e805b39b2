"""One tenant's clients: they submit jobs and batches, and change their minds."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stoflow.jobs.v1 import batch_service_pb2, job_pb2, job_service_pb2

from tests.chaos.storm.caller import Caller, RefusedError
from tests.chaos.storm.connector import ACTION

PAGE_SIZE = 1_000
# What an answer to a change of mind may be, when the job has moved on.
_EXPECTED_REFUSALS = {"JOB_STATE_INVALID", "JOB_EXISTS", "BATCH_STATE_INVALID"}
_PENDING, _RUNNING = job_pb2.JOB_STATE_PENDING, job_pb2.JOB_STATE_RUNNING
_BATCHED_SHARE = 0.6
_CONTROLS = {"cancel": 0.05, "pause": 0.08, "resume": 0.04, "retry": 0.05}
_DUPLICATE_SHARE = 0.04


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a seller does; `size` is that of a batch."""

    kind: str
    size: int = 1


def write_script(jobs: int, draw: random.Random) -> list[Step]:
    """Draws what a seller does, in order, so that exactly this many jobs are submitted."""
    batched = int(jobs * _BATCHED_SHARE)
    first = draw.randint(batched // 4, batched // 2)
    duplicates = max(1, int(jobs * _DUPLICATE_SHARE))
    creations = [Step("batch", first), Step("batch", batched - first)]
    creations += [Step("create")] * (jobs - batched - duplicates) + [Step("duplicate")] * duplicates
    controls = [Step(kind) for kind, share in _CONTROLS.items() for _ in range(max(1, int(jobs * share)))]
    if draw.random() < 0.25:
        controls.append(Step("cancel_batch"))
    draw.shuffle(creations)
    draw.shuffle(controls)
    # A change of mind needs something to change: every job is submitted before four fifths of the way.
    placed = [(0.8 * i / len(creations), step) for i, step in enumerate(creations)]
    placed += [(0.1 + 0.9 * draw.random(), step) for step in controls]
    return [step for _, step in sorted(placed, key=lambda pair: pair[0])]


@dataclass
class Seller:
    """A tenant with one account.

    Attributes:
        tenant_id: The tenant.
        account_id: Its account.
        products: Not yet used ones, last first.
        caller: How it calls.
        draw: Its own random numbers.
        singles: Ids of jobs that were submitted alone, each with its product.
        batches: How many jobs were submitted with each batch.
        cancelled_batches: Batches whose cancellation was accepted.
        done: What was asked, by kind, and how it was answered.
    """

    tenant_id: int
    account_id: str
    products: list[str]
    caller: Caller
    draw: random.Random
    singles: dict[str, str] = field(default_factory=dict)
    batches: dict[str, int] = field(default_factory=dict)
    cancelled_batches: set[str] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)

    @property
    def created_count(self) -> int:
        return len(self.singles) + sum(self.batches.values())

    async def play(self, script: list[Step], seconds: float) -> None:
        """Does everything in the script, spread over the time."""
        for step in script:
            await asyncio.sleep(self.draw.uniform(0, 2 * seconds / len(script)))
            await getattr(self, f"_{step.kind}")(step)

    async def submit(self, product_id: str, allow_duplicate: bool = False) -> None:
        """Submits one job."""
        request = job_service_pb2.CreateJobRequest(
            **self._fields(),
            account_id=self.account_id,
            product_id=product_id,
            action=ACTION,
            allow_duplicate=allow_duplicate,
        )
        answer = await self.caller.mutate(lambda s: s.jobs.CreateJob, request, lambda a: a.job.job_id)
        self.singles[answer.job.job_id] = product_id

    async def resume_all(self) -> None:
        """Resumes whatever is paused."""
        for job in await self.list_jobs(states=[job_pb2.JOB_STATE_PAUSED]):
            await self._control("resume", job.job_id)

    async def retry_failed(self) -> None:
        """Retries what has failed: every other batch at once, the rest job by job, and one in four jobs never."""
        together = set(list(self.batches)[::2])
        for number, job in enumerate(await self.list_jobs(states=[job_pb2.JOB_STATE_FAILED])):
            if job.batch_id not in together and number % 4:
                await self._control("retry", job.job_id)
        for batch_id in together:
            request = batch_service_pb2.RetryBatchRequest(**self._fields(), batch_id=batch_id)
            await self._ask(
                "retry_batch", lambda s: s.batches.RetryBatch, request, lambda a: a.batch.batch_id
            )

    async def list_jobs(self, **narrowed: Any) -> list[job_pb2.Job]:
        """Lists its jobs."""
        request = job_service_pb2.ListJobsRequest(
            tenant_id=self.tenant_id, page_size=PAGE_SIZE, filter=job_service_pb2.JobFilter(**narrowed)
        )
        jobs: list[job_pb2.Job] = []
        while True:
            answer = await self.caller.read(lambda s: s.jobs.ListJobs, request)
            jobs += answer.jobs
            request.page_token = answer.next_page_token
            if not request.page_token:
                return jobs

    async def _create(self, _step: Step) -> None:
        await self.submit(self.products.pop())

    async def _duplicate(self, _step: Step) -> None:
        used = list(self.singles.values())
        await self.submit(self.draw.choice(used) if used else self.products.pop(), allow_duplicate=True)

    async def _batch(self, step: Step) -> None:
        products = [self.products.pop() for _ in range(step.size)]
        request = batch_service_pb2.CreateBatchRequest(
            **self._fields(), account_id=self.account_id, action=ACTION, product_ids=products
        )
        answer = await self.caller.mutate(
            lambda s: s.batches.CreateBatch, request, lambda a: a.batch.batch_id
        )
        self.batches[answer.batch.batch_id] = step.size

    async def _cancel(self, _step: Step) -> None:
        await self._control("cancel", *await self._some_job())

    async def _pause(self, _step: Step) -> None:
        await self._control("pause", *await self._some_job())

    async def _resume(self, _step: Step) -> None:
        paused = await self.list_jobs(states=[job_pb2.JOB_STATE_PAUSED])
        await self._control("resume", *self._one_of(job.job_id for job in paused))

    async def _retry(self, _step: Step) -> None:
        failed = await self.list_jobs(states=[job_pb2.JOB_STATE_FAILED])
        await self._control("retry", *self._one_of(job.job_id for job in failed))

    async def _cancel_batch(self, _step: Step) -> None:
        for batch_id in self._one_of(self.batches):
            request = batch_service_pb2.CancelBatchRequest(**self._fields(), batch_id=batch_id)
            if await self._ask(
                "cancel_batch", lambda s: s.batches.CancelBatch, request, lambda a: a.batch.batch_id
            ):
                self.cancelled_batches.add(batch_id)

    async def _some_job(self) -> list[str]:
        states = [_RUNNING] if self.draw.random() < 0.6 else [_PENDING, _RUNNING]
        live = await self.list_jobs(states=states)
        # One that may have ended long ago is worth asking for as well.
        return self._one_of([job.job_id for job in live] or self.singles)

    def _one_of(self, ids: Any) -> list[str]:
        known = sorted(ids)
        return [self.draw.choice(known)] if known else []

    async def _control(self, kind: str, *job_ids: str) -> None:
        for job_id in job_ids:
            make, call = _CONTROL_CALLS[kind]
            request = make(**self._fields(), job_id=job_id)
            await self._ask(kind, call, request, lambda a: a.job.job_id)

    async def _ask(self, kind: str, call: Any, request: Any, identity: Any) -> bool:
        try:
            await self.caller.mutate(call, request, identity)
        except RefusedError as error:
            if error.reason not in _EXPECTED_REFUSALS:
                raise
            self.done[f"{kind} refused"] += 1
            return False
        self.done[kind] += 1
        return True

    def _fields(self) -> dict[str, Any]:
        return {"request_id": str(uuid.uuid4()), "tenant_id": self.tenant_id}


_CONTROL_CALLS: dict[str, tuple[Any, Any]] = {
    "cancel": (job_service_pb2.CancelJobRequest, lambda s: s.jobs.CancelJob),
    "pause": (job_service_pb2.PauseJobRequest, lambda s: s.jobs.PauseJob),
    "resume": (job_service_pb2.ResumeJobRequest, lambda s: s.jobs.ResumeJob),
    "retry": (job_service_pb2.RetryJobRequest, lambda s: s.jobs.RetryJob),
}


def product_count(script: list[Step]) -> int:
    """Returns how many products a script may use up."""
    return sum(step.size for step in script if step.kind in {"batch", "create", "duplicate"})


def totals(sellers: list[Seller]) -> Iterator[tuple[str, int]]:
    """Yields what all sellers did."""
    yield from sorted(sum((seller.done for seller in sellers), Counter[str]()).items())
