"""What has become due by time alone: one statement that finds it all, so that an idle system stays quiet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

Connection = AsyncConnection[Any]

MAX_ITEMS = 500

_FIND_DUE: LiteralString = """
    SELECT
        ARRAY(SELECT DISTINCT j.marketplace
                FROM public.live_jobs AS j JOIN public.account_gates AS g USING (account_id)
               WHERE j.state = 'PENDING' AND j.next_time <= now() AND g.state = 'CONNECTED'),
        ARRAY(SELECT ROW(job_id, task_id) FROM public.live_tasks
               WHERE state = 'RUNNING' AND (lease_expire_time < now() OR deadline_time < now()) LIMIT %(limit)s),
        ARRAY(SELECT ROW(t.job_id, t.task_id, j.marketplace, split_part(j.manifest_version, '+', 1))
                FROM public.live_tasks AS t JOIN public.live_jobs AS j USING (job_id)
               WHERE t.dispatch_time < now() - make_interval(secs => %(dispatch_timeout)s) LIMIT %(limit)s),
        ARRAY(SELECT ROW(job_id, expire_time) FROM public.live_jobs
               WHERE state IN ('PENDING', 'RUNNING', 'PAUSED') AND expire_time <= now() LIMIT %(limit)s),
        ARRAY(SELECT DISTINCT tenant_id FROM public.live_jobs
               WHERE state IN ('COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED') AND admit_time IS NULL),
        EXISTS (SELECT 1 FROM public.outbox
                 WHERE create_time < now() - make_interval(secs => %(outbox_timeout)s)),
        ARRAY(SELECT DISTINCT ROW(marketplace, version) FROM public.connector_instances, unnest(versions) AS version
               WHERE expire_time > now() AND slots > 0)"""


@dataclass(frozen=True, slots=True)
class DueWork:
    """Ids only: each is decided again under its job's lock."""

    marketplaces: list[str]
    lost_leases: list[tuple[UUID, UUID]]
    # Job, task, marketplace, manifest version without its variant.
    unstarted: list[tuple[UUID, UUID, str, str]]
    expired_jobs: list[tuple[UUID, Any]]
    tenants_to_archive: list[int]
    has_left_messages: bool
    # Marketplace and manifest version, without its variant, of every instance that takes tasks.
    connected_versions: frozenset[tuple[str, str]]


async def find_due_work(
    connection: Connection, dispatch_timeout_seconds: float, outbox_timeout_seconds: float
) -> DueWork:
    """Finds everything that waits for nothing but somebody to do it."""
    parameters = {
        "limit": MAX_ITEMS,
        "dispatch_timeout": dispatch_timeout_seconds,
        "outbox_timeout": outbox_timeout_seconds,
    }
    # Binary: the text form of anonymous records does not carry their types.
    row = await (await connection.execute(_FIND_DUE, parameters, binary=True)).fetchone()
    if row is None:
        raise RuntimeError("a statement without FROM returned no row")
    return DueWork(
        marketplaces=row[0],
        lost_leases=row[1],
        unstarted=row[2],
        expired_jobs=row[3],
        tenants_to_archive=row[4],
        has_left_messages=row[5],
        connected_versions=frozenset(row[6]),
    )
