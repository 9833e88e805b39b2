"""What a pass of admission reads and writes.

Its cost depends on the free slots, not on how many jobs wait: tenants are read in the order of their tags, and of each
a few jobs, oldest first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor
from psycopg.types.numeric import Int8

from stoflow_orchestrator.engine.fairness import Candidate, Choice, Queue, QueuedTenant, Room

Connection = AsyncConnection[Any]

# Jobs looked at beyond the free slots: they tell which priorities are left waiting.
LOOK_BEYOND = 8

# A blocking lock: with a try-lock a pass that gives up loses the wake-up that it was meant to serve. The settings are
# for the search that follows: planning it anew would take longer than running it, and a plan made while the tables
# were small must not read them whole once they are not.
_LOCK: LiteralString = """
    SELECT pg_advisory_xact_lock(hashtextextended('admission:' || %s, 0)),
           set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true),
           set_config('enable_sort', 'off', true), set_config('jit', 'off', true)"""

# An earlier job for the same account and product goes before a later one, so that a publish and a delete end in the
# order in which they were asked for; of jobs without a product one for the same action and site. OFFSET 0 keeps the
# planner from joining these with everything that waits.
#
# Of an account that is not CONNECTED only the job that connects it is admitted, while its owner's consent is fresh.
#
# A marketplace's limit holds back NORMAL and LOW jobs: connectors keep a share of their calls for endings, which are
# HIGH or CRITICAL.
#
# One row a ready job of a tenant that was looked at; one with nulls for a waiting tenant that has none ready; at least
# one row for the slots alone.
FIND: LiteralString = """
    WITH slots AS MATERIALIZED (
        SELECT least(g.max_admitted_jobs, i.slots) AS capacity, g.pause_time IS NOT NULL AS is_paused,
               CASE WHEN g.rate_limit_time > now() THEN 2 ELSE 4 END AS last_priority
          FROM (SELECT coalesce(sum(slots), 0)::int AS slots FROM public.connector_instances
                 WHERE marketplace = %(marketplace)s AND expire_time > now() AND drain_time IS NULL) AS i
          LEFT JOIN public.marketplace_gates AS g ON g.marketplace = %(marketplace)s
    ), held AS MATERIALIZED (
        SELECT count(*)::int AS admitted, (count(*) FILTER (WHERE priority > 1))::int AS ordinary
          FROM public.live_jobs WHERE marketplace = %(marketplace)s AND admit_time IS NOT NULL
    ), room AS MATERIALIZED (
        SELECT CASE WHEN is_paused THEN 0 ELSE capacity END AS capacity, admitted, ordinary,
               CASE WHEN is_paused THEN 0
                    ELSE least(%(limit)s, greatest(capacity - admitted, 0) + %(beyond)s) END AS look
          FROM slots, held
    ), queues AS MATERIALIZED (
        SELECT p.priority, coalesce(c.virtual_time, 0) AS clock
          FROM slots CROSS JOIN generate_series(1, slots.last_priority) AS p(priority)
          LEFT JOIN public.admission_clocks AS c
            ON c.marketplace = %(marketplace)s AND c.priority = p.priority
    ), tenants AS MATERIALIZED (
        SELECT q.priority, w.tenant_id, w.tag, true AS is_waiting
          FROM room, queues AS q CROSS JOIN LATERAL (
              SELECT t.tenant_id, t.tag FROM public.admission_tenants AS t
               WHERE t.marketplace = %(marketplace)s AND t.priority = q.priority AND t.is_waiting
               ORDER BY t.tag, t.tenant_id LIMIT room.look) AS w
        UNION ALL
        SELECT q.priority, h.tenant_id, t.tag, false
          FROM room, queues AS q CROSS JOIN unnest(%(tenants)s::bigint[]) AS h(tenant_id)
          LEFT JOIN LATERAL (
              SELECT a.tag, a.is_waiting FROM public.admission_tenants AS a
               WHERE a.marketplace = %(marketplace)s AND a.priority = q.priority AND a.tenant_id = h.tenant_id
               LIMIT 1) AS t ON true
         WHERE room.look > 0 AND t.is_waiting IS NOT TRUE
           AND EXISTS (SELECT 1 FROM public.account_gates AS g CROSS JOIN LATERAL (
                           SELECT 1 FROM public.live_jobs AS l
                            WHERE l.marketplace = %(marketplace)s AND l.account_id = g.account_id
                              AND l.priority = q.priority AND l.state = 'PENDING'
                              AND l.next_time <= l.queue_time
                            ORDER BY l.sequence LIMIT 1) AS any_job
                        WHERE g.tenant_id = h.tenant_id AND g.marketplace = %(marketplace)s
                          AND (g.state = 'CONNECTED' OR q.priority = 1 AND g.connect_until > now())
                          AND (q.priority <= 2 OR (g.rate_limit_time > now()) IS NOT TRUE)
                          AND g.pause_time IS NULL OFFSET 0)
    ), shares AS MATERIALIZED (
        SELECT q.priority, q.clock, n.share, n.is_whole,
               coalesce(q.clock < (SELECT d.tag FROM public.admission_tenants AS d
                                    WHERE d.marketplace = %(marketplace)s AND d.priority = q.priority
                                      AND NOT d.is_waiting
                                    ORDER BY d.tag DESC, d.tenant_id DESC LIMIT 1), false) AS has_debtors
          FROM (SELECT t.priority, least(r.look, greatest(2, ceil(2.0 * r.look / count(*))))::int AS share,
                       count(*) FILTER (WHERE t.is_waiting) < r.look AS is_whole
                  FROM tenants AS t, room AS r GROUP BY t.priority, r.look) AS n
          JOIN queues AS q USING (priority)
    )
    SELECT r.capacity, r.admitted, r.ordinary, s.priority, s.clock, s.is_whole, s.has_debtors,
           t.tenant_id, t.tag, t.is_waiting, s.share, j.sequence, j.job_id, j.account_id, j.account_room
      FROM room AS r
      LEFT JOIN (tenants AS t JOIN shares AS s USING (priority)) ON true
      LEFT JOIN LATERAL (
          SELECT o.*
            FROM public.account_gates AS g
            CROSS JOIN LATERAL (
                SELECT CASE WHEN g.max_admitted_jobs IS NOT NULL THEN
                           g.max_admitted_jobs - (SELECT count(*) FROM public.live_jobs AS a
                                                   WHERE a.marketplace = %(marketplace)s
                                                     AND a.account_id = g.account_id
                                                     AND a.admit_time IS NOT NULL)
                       END::int AS account_room OFFSET 0) AS room
            CROSS JOIN LATERAL (
                SELECT l.sequence, l.job_id, l.account_id, room.account_room
                  FROM public.live_jobs AS l
                 WHERE l.marketplace = %(marketplace)s AND l.account_id = g.account_id
                   AND l.priority = t.priority AND l.state = 'PENDING' AND l.next_time <= l.queue_time
                   AND (g.state = 'CONNECTED' OR l.action = 'connect') AND l.expire_time > now() AND NOT (
                           EXISTS (SELECT 1 FROM public.live_jobs AS e
                                    WHERE e.account_id = l.account_id AND e.product_id = l.product_id
                                      AND e.product_id IS NOT NULL AND e.admit_time IS NOT NULL OFFSET 0)
                        OR EXISTS (SELECT 1 FROM public.live_jobs AS e
                                    WHERE e.account_id = l.account_id AND e.product_id = l.product_id
                                      AND e.sequence < l.sequence AND NOT e.is_duplicate
                                      AND e.state IN ('PENDING', 'RUNNING', 'PAUSED') OFFSET 0)
                        OR EXISTS (SELECT 1 FROM public.live_jobs AS e
                                    WHERE e.account_id = l.account_id AND e.product_id = l.product_id
                                      AND e.sequence < l.sequence AND e.is_duplicate
                                      AND e.state IN ('PENDING', 'RUNNING', 'PAUSED') OFFSET 0)
                        OR l.product_id IS NULL AND (
                           EXISTS (SELECT 1 FROM public.live_jobs AS e
                                    WHERE e.marketplace = %(marketplace)s AND e.account_id = l.account_id
                                      AND e.product_id IS NULL AND e.action = l.action AND e.site = l.site
                                      AND e.admit_time IS NOT NULL OFFSET 0)
                        OR EXISTS (SELECT 1 FROM public.live_jobs AS e
                                    WHERE e.account_id = l.account_id AND e.product_id IS NULL
                                      AND e.action = l.action AND e.site = l.site
                                      AND e.sequence < l.sequence AND NOT e.is_duplicate
                                      AND e.state IN ('PENDING', 'RUNNING', 'PAUSED') OFFSET 0)
                        OR EXISTS (SELECT 1 FROM public.live_jobs AS e
                                    WHERE e.account_id = l.account_id AND e.product_id IS NULL
                                      AND e.action = l.action AND e.site = l.site
                                      AND e.sequence < l.sequence AND e.is_duplicate
                                      AND e.state IN ('PENDING', 'RUNNING', 'PAUSED') OFFSET 0)))
                 ORDER BY l.sequence
                 LIMIT greatest(least(s.share, room.account_room), 0)) AS o
           WHERE g.tenant_id = t.tenant_id AND g.marketplace = %(marketplace)s
             AND (g.state = 'CONNECTED' OR t.priority = 1 AND g.connect_until > now())
             AND (t.priority <= 2 OR (g.rate_limit_time > now()) IS NOT TRUE)
             AND g.pause_time IS NULL
           ORDER BY o.sequence LIMIT s.share) AS j ON true"""

_SAVE_TENANTS: LiteralString = """
    INSERT INTO public.admission_tenants AS t (marketplace, priority, tenant_id, tag, is_waiting)
    SELECT %b, u.* FROM unnest(%b::int[], %b::bigint[], %b::float8[], %b::boolean[]) AS u
        ON CONFLICT (marketplace, priority, tenant_id) DO UPDATE
           SET tag = excluded.tag, is_waiting = excluded.is_waiting"""

_DELETE_TENANTS: LiteralString = """
    DELETE FROM public.admission_tenants AS t USING unnest(%b::int[], %b::bigint[]) AS u(priority, tenant_id)
     WHERE t.marketplace = %b AND t.priority = u.priority AND t.tenant_id = u.tenant_id"""

# Debts that the clock has reached are none.
_SAVE_CLOCKS: LiteralString = """
    WITH u AS (
        SELECT * FROM unnest(%(priorities)b::int[], %(clocks)b::float8[]) AS u(priority, virtual_time)
    ), paid AS (
        DELETE FROM public.admission_tenants AS t USING u
         WHERE t.marketplace = %(marketplace)b AND t.priority = u.priority AND NOT t.is_waiting
           AND t.tag <= u.virtual_time
    )
    INSERT INTO public.admission_clocks (marketplace, priority, virtual_time)
    SELECT %(marketplace)b, u.priority, u.virtual_time FROM u
        ON CONFLICT (marketplace, priority) DO UPDATE SET virtual_time = excluded.virtual_time"""

_RESET: LiteralString = """
    WITH clocks AS (
        DELETE FROM public.admission_clocks WHERE marketplace = %(marketplace)b AND priority = ANY(%(priorities)b)
    )
    DELETE FROM public.admission_tenants
     WHERE marketplace = %(marketplace)b AND priority = ANY(%(priorities)b)"""

# SKIP LOCKED: whoever holds the row decides about the job just now, and the next tick comes soon.
_WAKE: LiteralString = """
    UPDATE public.live_jobs AS j
       SET next_time = j.queue_time,
           wait_reason = CASE WHEN j.wait_reason IN ('RETRY_BACKOFF', 'RATE_LIMITED') THEN NULL
                              ELSE j.wait_reason END
      FROM (SELECT job_id FROM public.live_jobs
             WHERE state = 'PENDING' AND next_time > queue_time AND next_time <= now()
             ORDER BY next_time LIMIT %s FOR UPDATE SKIP LOCKED) AS due
     WHERE j.job_id = due.job_id
    RETURNING j.marketplace, j.tenant_id"""

_RESUME_CONNECTED: LiteralString = """
    UPDATE public.live_jobs AS j SET wait_reason = NULL, next_time = j.queue_time
      FROM (SELECT l.job_id FROM public.live_jobs AS l JOIN public.account_gates AS g USING (account_id)
             WHERE l.state = 'PENDING' AND l.wait_reason = 'ACCOUNT_RECONNECT_REQUIRED'
               AND g.state = 'CONNECTED' AND l.account_id = ANY(%s)
             ORDER BY l.job_id FOR UPDATE OF l) AS due
     WHERE j.job_id = due.job_id
    RETURNING j.marketplace, j.tenant_id"""


_RESUME_SUPPORTED: LiteralString = """
    UPDATE public.live_jobs AS j SET wait_reason = NULL, next_time = j.queue_time
      FROM (SELECT job_id FROM public.live_jobs
             WHERE marketplace = %s AND state = 'PENDING' AND wait_reason = 'CONNECTOR_UNAVAILABLE'
               AND split_part(manifest_version, '+', 1) = ANY(%s)
             ORDER BY job_id FOR UPDATE) AS due
     WHERE j.job_id = due.job_id
    RETURNING j.marketplace, j.tenant_id"""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a pass decides by."""

    room: Room
    queues: dict[int, Queue]
    tenants: list[QueuedTenant]


async def lock(connection: Connection, marketplace: str) -> None:
    """Makes passes over one marketplace follow one another."""
    await connection.execute(_LOCK, (marketplace,))


async def find(
    connection: Connection, marketplace: str, tenants: Collection[int], limit: int
) -> AsyncCursor[Any]:
    """Looks at the slots, the tenants that wait, and those named; `read_situation` reads the answer."""
    parameters = {
        "marketplace": marketplace,
        # Of one type whatever the values: a statement is prepared once for each.
        "tenants": [Int8(tenant_id) for tenant_id in tenants],
        "limit": limit,
        "beyond": LOOK_BEYOND,
    }
    return await connection.execute(FIND, parameters, binary=True)


async def read_situation(cursor: AsyncCursor[Any]) -> Situation:
    """Returns what was found."""
    rows = await cursor.fetchall()
    capacity, admitted, ordinary = rows[0][:3]
    queues: dict[int, Queue] = {}
    tenants: dict[tuple[int, int], QueuedTenant] = {}
    jobs: dict[tuple[int, int], list[Candidate]] = {}
    shares: dict[int, int] = {}
    for _, _, _, priority, clock, is_whole, has_debtors, tenant_id, tag, is_waiting, share, *job in rows:
        if tenant_id is None:
            continue
        key = (priority, tenant_id)
        if key not in tenants:
            queues.setdefault(priority, Queue(clock, is_whole, has_debtors))
            tenants[key] = QueuedTenant(priority, tenant_id, tag, is_waiting, jobs.setdefault(key, []))
            shares[priority] = share
        if job[0] is not None:
            jobs[key].append(Candidate(*job))
    for key, tenant in tenants.items():
        jobs[key].sort()
        tenant.has_more = len(jobs[key]) >= shares[tenant.priority]
    return Situation(Room.of(capacity, admitted, ordinary), queues, list(tenants.values()))


async def save(connection: Connection, marketplace: str, choice: Choice) -> None:
    """Stores what a pass changed of the queues; sends only."""
    if choice.reset:
        await connection.execute(_RESET, {"marketplace": marketplace, "priorities": choice.reset})
    if choice.gone:
        await connection.execute(_DELETE_TENANTS, [*_columns(choice.gone), marketplace])
    if choice.rows:
        await connection.execute(_SAVE_TENANTS, [marketplace, *_columns(choice.rows)])
    if choice.clocks:
        parameters = {
            "marketplace": marketplace,
            "priorities": list(choice.clocks),
            "clocks": list(choice.clocks.values()),
        }
        await connection.execute(_SAVE_CLOCKS, parameters)


async def wake(connection: Connection, limit: int) -> list[tuple[str, int]]:
    """Makes jobs ready whose time has come; returns (marketplace, tenant) of each."""
    return [(row[0], row[1]) for row in await (await connection.execute(_WAKE, (limit,))).fetchall()]


async def resume_connected(connection: Connection, account_ids: Iterable[UUID]) -> list[tuple[str, int]]:
    """Makes jobs ready that wait for accounts which are connected by now; returns (marketplace, tenant) of each."""
    cursor = await connection.execute(_RESUME_CONNECTED, (list(account_ids),))
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def resume_supported(
    connection: Connection, marketplace: str, versions: Sequence[str]
) -> list[tuple[str, int]]:
    """Makes jobs ready that wait for a connector of these versions; returns (marketplace, tenant) of each."""
    cursor = await connection.execute(_RESUME_SUPPORTED, (marketplace, list(versions)))
    return [(row[0], row[1]) for row in await cursor.fetchall()]


def _columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
