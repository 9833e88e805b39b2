"""What has become due by time alone: one statement that finds it all, so that an idle system stays quiet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

Connection = AsyncConnection[Any]

MAX_ITEMS = 500

# Whatever is dispatched or leased is the current task of a job that holds a slot: as many rows as there are slots. No
# index on leases and dates is needed for it, which would have to be written with every task.
_FIND_DUE: LiteralString = """
    WITH active AS MATERIALIZED (
        SELECT j.job_id, j.marketplace, j.manifest_version, t.task_id, t.state, t.lease_expire_time, t.deadline_time,
               t.dispatch_time
          FROM public.live_jobs AS j
          LEFT JOIN public.live_tasks AS t ON t.job_id = j.job_id AND t.position = j.task_position
         WHERE j.admit_time IS NOT NULL
    )
    SELECT
        -- Reads one entry of the index for each account and priority, not one for each job.
        ARRAY(WITH RECURSIVE ready AS (
                  (SELECT marketplace, account_id, priority FROM public.live_jobs
                    WHERE state = 'PENDING' AND next_time <= queue_time
                    ORDER BY marketplace, account_id, priority LIMIT 1)
                  UNION ALL
                  SELECT n.* FROM ready AS r CROSS JOIN LATERAL (
                      SELECT l.marketplace, l.account_id, l.priority FROM public.live_jobs AS l
                       WHERE l.state = 'PENDING' AND l.next_time <= l.queue_time
                         AND (l.marketplace, l.account_id, l.priority) > (r.marketplace, r.account_id, r.priority)
                       ORDER BY l.marketplace, l.account_id, l.priority LIMIT 1) AS n
              )
              SELECT DISTINCT ROW(r.marketplace, CASE WHEN t.is_waiting THEN 0 ELSE g.tenant_id END)
                FROM ready AS r JOIN public.account_gates AS g USING (account_id)
                LEFT JOIN public.admission_tenants AS t
                  ON t.marketplace = r.marketplace AND t.priority = r.priority AND t.tenant_id = g.tenant_id
                LEFT JOIN public.marketplace_gates AS m ON m.marketplace = r.marketplace
               WHERE (g.state = 'CONNECTED' OR r.priority = 1 AND g.connect_until > now())
                 AND (r.priority <= 2 OR coalesce(greatest(g.rate_limit_time, m.rate_limit_time) <= now(), true))
                 AND g.pause_time IS NULL AND m.pause_time IS NULL),
        EXISTS (SELECT 1 FROM public.live_jobs
                 WHERE state = 'PENDING' AND next_time > queue_time AND next_time <= now()),
        ARRAY(WITH RECURSIVE waiting AS (
                  (SELECT account_id FROM public.live_jobs
                    WHERE state = 'PENDING' AND wait_reason = 'ACCOUNT_RECONNECT_REQUIRED'
                    ORDER BY account_id LIMIT 1)
                  UNION ALL
                  SELECT n.account_id FROM waiting AS w CROSS JOIN LATERAL (
                      SELECT l.account_id FROM public.live_jobs AS l
                       WHERE l.state = 'PENDING' AND l.wait_reason = 'ACCOUNT_RECONNECT_REQUIRED'
                         AND l.account_id > w.account_id
                       ORDER BY l.account_id LIMIT 1) AS n
              )
              SELECT g.account_id FROM waiting JOIN public.account_gates AS g USING (account_id)
               WHERE g.state = 'CONNECTED' LIMIT %(limit)s),
        ARRAY(SELECT ROW(job_id, task_id) FROM active
               WHERE state = 'RUNNING' AND (lease_expire_time < now() OR deadline_time < now()) LIMIT %(limit)s),
        ARRAY(SELECT ROW(job_id, task_id, marketplace, split_part(manifest_version, '+', 1)) FROM active
               WHERE dispatch_time < now() - make_interval(secs => %(dispatch_timeout)s) LIMIT %(limit)s),
        ARRAY(SELECT ROW(job_id, expire_time, run) FROM public.live_jobs
               WHERE state IN ('PENDING', 'RUNNING', 'PAUSED') AND expire_time <= now() LIMIT %(limit)s),
        ARRAY(SELECT tenant_id FROM public.live_jobs
               WHERE state IN ('COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED') AND admit_time IS NULL
               UNION
              SELECT tenant_id FROM public.live_batches WHERE finish_time IS NOT NULL),
        ARRAY(SELECT ROW(j.tenant_id, j.job_id)
                FROM public.live_batches AS b JOIN public.live_jobs AS j USING (batch_id)
               WHERE b.is_cancelling AND j.state IN ('PENDING', 'RUNNING', 'PAUSED') LIMIT %(limit)s),
        EXISTS (SELECT 1 FROM public.outbox
                 WHERE create_time < now() - make_interval(secs => %(outbox_timeout)s)),
        ARRAY(SELECT DISTINCT ROW(marketplace, version) FROM public.connector_instances, unnest(versions) AS version
               WHERE expire_time > now() AND slots > 0 AND drain_time IS NULL),
        ARRAY(SELECT ROW(job_id, task_id) FROM active
               WHERE state = 'PENDING' AND deadline_time < now() LIMIT %(limit)s),
        -- In one snapshot every job that holds a slot has something under way.
        ARRAY(SELECT job_id FROM active
               WHERE state IS DISTINCT FROM 'RUNNING' AND dispatch_time IS NULL LIMIT %(limit)s),
        ARRAY(WITH RECURSIVE waiting AS (
                  (SELECT marketplace, manifest_version FROM public.live_jobs
                    WHERE state = 'PENDING' AND wait_reason = 'CONNECTOR_UNAVAILABLE'
                    ORDER BY marketplace, manifest_version LIMIT 1)
                  UNION ALL
                  SELECT n.* FROM waiting AS w CROSS JOIN LATERAL (
                      SELECT l.marketplace, l.manifest_version FROM public.live_jobs AS l
                       WHERE l.state = 'PENDING' AND l.wait_reason = 'CONNECTOR_UNAVAILABLE'
                         AND (l.marketplace, l.manifest_version) > (w.marketplace, w.manifest_version)
                       ORDER BY l.marketplace, l.manifest_version LIMIT 1) AS n
              )
              SELECT DISTINCT ROW(marketplace, split_part(manifest_version, '+', 1)) FROM waiting)"""


@dataclass(frozen=True, slots=True)
class DueWork:
    """Ids only: each is decided again under its job's lock."""

    # Marketplace and tenant of ready jobs; tenant 0 stands for those that admission knows of.
    ready: list[tuple[str, int]]
    # Whether jobs wait for a time that has come.
    has_woken: bool
    # Connected by now, though jobs of theirs wait for that.
    reconnected_accounts: list[UUID]
    lost_leases: list[tuple[UUID, UUID]]
    # Job, task, marketplace, manifest version without its variant.
    unstarted: list[tuple[UUID, UUID, str, str]]
    # Job, expire time, run.
    expired_jobs: list[tuple[UUID, Any, int]]
    tenants_to_archive: list[int]
    # Tenant and job: left behind by a cancellation of their batch that was interrupted.
    jobs_of_cancelled_batches: list[tuple[int, UUID]]
    has_left_messages: bool
    # Marketplace and manifest version, without its variant, of every instance that takes tasks.
    connected_versions: frozenset[tuple[str, str]]
    # Job and task: dispatched, and not started within the time that the step allows.
    late_starts: list[tuple[UUID, UUID]]
    # They hold a slot, and nothing of them is under way.
    stuck_jobs: list[UUID]
    # Marketplace and manifest version, without its variant, of jobs that wait for a connector.
    wanted_versions: frozenset[tuple[str, str]]


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
        ready=row[0],
        has_woken=row[1],
        reconnected_accounts=row[2],
        lost_leases=row[3],
        unstarted=row[4],
        expired_jobs=row[5],
        tenants_to_archive=row[6],
        jobs_of_cancelled_batches=row[7],
        has_left_messages=row[8],
        connected_versions=frozenset(row[9]),
        late_starts=row[10],
        stuck_jobs=row[11],
        wanted_versions=frozenset(row[12]),
    )
