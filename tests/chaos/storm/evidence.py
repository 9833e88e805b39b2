"""Everything that is looked at after a storm, seen from outside: public calls, the marketplace, and plain SQL."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from stoflow.admin.v1 import admin_pb2, admin_service_pb2
from stoflow.catalog.v1 import listing_pb2, listing_service_pb2
from stoflow.events.v1 import event_pb2
from stoflow.jobs.v1 import batch_pb2, batch_service_pb2, job_pb2, job_service_pb2

from tests.chaos.storm.caller import Caller
from tests.chaos.storm.connector import MARKETPLACE
from tests.chaos.storm.seller import PAGE_SIZE, Seller
from tests.chaos.storm.stage import Stage

LIVE_TABLES = ("live_jobs", "live_tasks", "live_events", "live_batches", "outbox")
_EFFECT_STATES = (
    admin_pb2.EFFECT_STATE_UNRESOLVED,
    admin_pb2.EFFECT_STATE_DONE,
    admin_pb2.EFFECT_STATE_NOT_SENT,
)
_PARALLEL_READS = 16


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known in the end.

    Attributes:
        singles: Ids of the jobs that clients submitted alone.
        batches: How many jobs clients submitted with each batch.
        cancelled_batches: Batches that clients cancelled.
        jobs: All jobs as ListJobs shows them, by id.
        histories: All of each job's events.
        shown_batches: The batches as GetBatch shows them, by id.
        facts: The result events.
        effects: The ledger.
        dead_letters: Ids of jobs that operators see as failed.
        listings: The catalogues' listings.
        things: What the marketplace holds: remote ids by key.
        archived: Ids of the jobs in the tenants' schemas.
        live_rows: Rows left, by live table.
        contradictions: Repeated mutations that were answered differently.
        faults: Internal errors that clients saw.
    """

    singles: frozenset[str]
    batches: Mapping[str, int]
    cancelled_batches: frozenset[str]
    jobs: Mapping[str, job_pb2.Job]
    histories: Mapping[str, Sequence[job_pb2.JobEvent]]
    shown_batches: Mapping[str, batch_pb2.Batch]
    facts: Sequence[event_pb2.Event]
    effects: Sequence[admin_pb2.Effect]
    dead_letters: frozenset[str]
    listings: Sequence[listing_pb2.Listing]
    things: Mapping[str, Sequence[str]]
    archived: Sequence[str]
    live_rows: Mapping[str, int]
    contradictions: Sequence[str]
    faults: Sequence[str]


async def gather_evidence(stage: Stage, sellers: Sequence[Seller], caller: Caller) -> Evidence:
    """Reads everything."""
    listed = await asyncio.gather(*(seller.list_jobs() for seller in sellers))
    # The list leaves the tasks out.
    jobs = await _in_parallel(_read_job(caller, job) for job in itertools.chain(*listed))
    batches = {batch_id: size for seller in sellers for batch_id, size in seller.batches.items()}
    happened = (await stage.market.get("/happened")).json()
    things: dict[str, list[str]] = {}
    for thing in happened["things"]:
        things.setdefault(thing["key"], []).append(thing["remote_id"])
    return Evidence(
        singles=frozenset(itertools.chain(*(seller.singles for seller in sellers))),
        batches=batches,
        cancelled_batches=frozenset(itertools.chain(*(seller.cancelled_batches for seller in sellers))),
        jobs={job.job_id: job for job in jobs},
        histories=dict(await _in_parallel(_read_history(caller, job) for job in jobs)),
        shown_batches=dict(
            await _in_parallel(_read_batch(caller, seller, b) for seller in sellers for b in seller.batches)
        ),
        facts=await list_facts(caller),
        effects=list(itertools.chain(*[await list_effects(caller, state) for state in _EFFECT_STATES])),
        dead_letters=await _list_dead_letters(caller),
        listings=list(itertools.chain(*[await _list_listings(caller, seller) for seller in sellers])),
        things=things,
        archived=await _list_archived(stage.database_url, [seller.tenant_id for seller in sellers]),
        live_rows=await count_live_rows(stage.database_url),
        contradictions=tuple(caller.contradictions),
        faults=tuple(caller.faults),
    )


async def list_effects(caller: Caller, state: admin_pb2.EffectState.ValueType) -> list[admin_pb2.Effect]:
    """Lists what is in the ledger in one state."""
    request = admin_service_pb2.ListEffectsRequest(page_size=PAGE_SIZE, state=state)
    return await _all_pages(caller, lambda s: s.admin.ListEffects, request, lambda a: a.effects)


async def list_facts(caller: Caller) -> list[event_pb2.Event]:
    """Lists the result events."""
    request = admin_service_pb2.ListEventsRequest(marketplace=MARKETPLACE, page_size=5_000)
    facts: list[event_pb2.Event] = []
    while True:
        answer = await caller.read(lambda s: s.admin.ListEvents, request)
        facts += answer.events
        request.page_token = answer.next_page_token
        if answer.is_last or not request.page_token:
            return facts


async def count_live_rows(database_url: str) -> dict[str, int]:
    """Counts what is left in the live tables."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        counts = {}
        for table in LIVE_TABLES:
            row = await (await connection.execute(f"SELECT count(*) FROM public.{table}")).fetchone()
            assert row is not None
            counts[table] = int(row[0])
        return counts


async def _list_archived(database_url: str, tenant_ids: Iterable[int]) -> list[str]:
    archived: list[str] = []
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        for tenant_id in tenant_ids:
            cursor = await connection.execute(f"SELECT job_id::text FROM user_{tenant_id}.marketplace_jobs")
            archived += [row[0] for row in await cursor.fetchall()]
    return archived


async def _list_dead_letters(caller: Caller) -> frozenset[str]:
    request = admin_service_pb2.ListDeadLettersRequest(page_size=PAGE_SIZE)
    letters = await _all_pages(caller, lambda s: s.admin.ListDeadLetters, request, lambda a: a.dead_letters)
    return frozenset(letter.job_id for letter in letters)


async def _list_listings(caller: Caller, seller: Seller) -> list[listing_pb2.Listing]:
    request = listing_service_pb2.ListListingsRequest(tenant_id=seller.tenant_id, page_size=PAGE_SIZE)
    return await _all_pages(caller, lambda s: s.listings.ListListings, request, lambda a: a.listings)


async def _read_job(caller: Caller, job: job_pb2.Job) -> job_pb2.Job:
    request = job_service_pb2.GetJobRequest(tenant_id=job.tenant_id, job_id=job.job_id)
    return (await caller.read(lambda s: s.jobs.GetJob, request)).job


async def _read_history(caller: Caller, job: job_pb2.Job) -> tuple[str, list[job_pb2.JobEvent]]:
    request = job_service_pb2.ListJobEventsRequest(
        tenant_id=job.tenant_id, job_id=job.job_id, page_size=PAGE_SIZE
    )
    events = await _all_pages(caller, lambda s: s.jobs.ListJobEvents, request, lambda a: a.events)
    return job.job_id, events


async def _read_batch(caller: Caller, seller: Seller, batch_id: str) -> tuple[str, batch_pb2.Batch]:
    request = batch_service_pb2.GetBatchRequest(tenant_id=seller.tenant_id, batch_id=batch_id)
    return batch_id, (await caller.read(lambda s: s.batches.GetBatch, request)).batch


async def _all_pages(caller: Caller, call: Any, request: Any, entries: Callable[[Any], Any]) -> list[Any]:
    found: list[Any] = []
    while True:
        answer = await caller.read(call, request)
        found += entries(answer)
        request.page_token = answer.next_page_token
        if not request.page_token:
            return found


async def _in_parallel(reads: Iterable[Any]) -> list[Any]:
    places = asyncio.Semaphore(_PARALLEL_READS)

    async def read(one: Any) -> Any:
        async with places:
            return await one

    return await asyncio.gather(*map(read, reads))
