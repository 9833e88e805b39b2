"""Sessions of accounts' browsers, as the engine and connectors read and write them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

Connection = AsyncConnection[Any]

_SAVE_ROUTE: LiteralString = """
    INSERT INTO public.session_routes AS r (marketplace, actions) VALUES (%s, %s)
        ON CONFLICT (marketplace) DO UPDATE SET actions = excluded.actions WHERE r.actions <> excluded.actions"""

_DELETE_ROUTE: LiteralString = "DELETE FROM public.session_routes WHERE marketplace = %s"

_LIST_ROUTES: LiteralString = "SELECT marketplace, actions FROM public.session_routes"

# Of the same browser a session is granted at once: it has one connection, and whatever it still does for the one before
# comes under a smaller epoch.
_ACQUIRE: LiteralString = """
    INSERT INTO public.account_sessions AS s (account_id, tenant_id, marketplace, epoch, instance_id, pairing_id,
                                              remote_user_id, acquire_time, expire_time)
    SELECT p.account_id, p.tenant_id, p.marketplace, 1, %(instance_id)s, p.pairing_id, %(remote_user_id)s, now(),
           now() + %(lease)s
      FROM public.pairings AS p WHERE p.pairing_id = %(pairing_id)s AND p.revoke_time IS NULL
        ON CONFLICT (account_id) DO UPDATE
           SET epoch = s.epoch + 1, instance_id = excluded.instance_id, pairing_id = excluded.pairing_id,
               acquire_time = excluded.acquire_time, expire_time = excluded.expire_time
         WHERE (s.instance_id IS NULL OR s.expire_time <= now() OR s.pairing_id = excluded.pairing_id)
           AND s.remote_user_id = excluded.remote_user_id
    RETURNING s.account_id, s.epoch"""

_FIND: LiteralString = """
    SELECT p.tenant_id, p.account_id, s.remote_user_id
      FROM public.pairings AS p LEFT JOIN public.account_sessions AS s USING (account_id)
     WHERE p.pairing_id = %s AND p.token_sha256 = %s AND p.revoke_time IS NULL"""

_STOP_REASON: LiteralString = """
    SELECT stop_reason FROM public.account_gates WHERE account_id = %s AND state <> 'CONNECTED'"""

# A session that ran out and that nobody else has taken is still its holder's. In the order of the rows' key, so that
# two renewals do not wait for each other.
_RENEW: LiteralString = """
    UPDATE public.account_sessions AS s SET expire_time = now() + %s
      FROM (SELECT s.account_id FROM public.account_sessions AS s
              JOIN unnest(%s::uuid[], %s::bigint[]) AS u(account_id, epoch) USING (account_id, epoch)
             WHERE s.instance_id = %s ORDER BY s.account_id FOR UPDATE OF s) AS held
     WHERE s.account_id = held.account_id
    RETURNING s.account_id"""

_RELEASE: LiteralString = """
    UPDATE public.account_sessions SET instance_id = NULL, expire_time = NULL
     WHERE account_id = %s AND epoch = %s AND instance_id = %s"""

_FIND_ROUTES: LiteralString = """
    SELECT j.job_id, j.action, s.instance_id
      FROM public.live_jobs AS j
      LEFT JOIN public.account_sessions AS s ON s.account_id = j.account_id AND s.expire_time > now()
     WHERE j.job_id = ANY(%s)"""

_WAKE: LiteralString = """
    UPDATE public.live_jobs AS j SET wait_reason = NULL, next_time = j.queue_time
      FROM (SELECT l.job_id FROM public.live_jobs AS l
             WHERE l.account_id = %s AND l.state = 'PENDING' AND l.wait_reason = ANY(%s)
             ORDER BY l.job_id FOR UPDATE) AS due
     WHERE j.job_id = due.job_id
    RETURNING j.marketplace, j.tenant_id"""

# A job that began to wait while its seller's browser came back.
_FIND_RETURNED: LiteralString = """
    SELECT s.account_id FROM public.account_sessions AS s
     WHERE s.expire_time > now()
       AND EXISTS (SELECT 1 FROM public.live_jobs AS l
                    WHERE l.account_id = s.account_id AND l.state = 'PENDING' AND l.wait_reason = 'SELLER_OFFLINE')"""

_DELETE_SPENT_CODES: LiteralString = """
    DELETE FROM public.pairing_codes WHERE expire_time < now() - interval '1 day'"""


class Route(NamedTuple):
    """Where a job's command may go: its action, and the instance that holds its account's session."""

    action: str
    instance_id: UUID | None


class Found(NamedTuple):
    """What is known of a pairing's account; no user while no session was ever held."""

    tenant_id: int
    account_id: UUID
    remote_user_id: str | None


async def save_route(connection: Connection, marketplace: str, actions: Sequence[str]) -> None:
    """Stores which actions of a marketplace need a session; none forgets the marketplace."""
    if actions:
        await connection.execute(_SAVE_ROUTE, (marketplace, list(actions)))
    else:
        await connection.execute(_DELETE_ROUTE, (marketplace,))


async def list_routes(connection: Connection) -> dict[str, frozenset[str]]:
    """Returns the actions that need a session, by marketplace."""
    return {row[0]: frozenset(row[1]) for row in await (await connection.execute(_LIST_ROUTES)).fetchall()}


async def acquire(
    connection: Connection, instance_id: UUID, pairing_id: UUID, remote_user_id: str, lease: timedelta
) -> tuple[UUID, int] | None:
    """Takes the session of a pairing's account; returns account and epoch, or None when it is not to be had."""
    parameters = {
        "instance_id": instance_id,
        "pairing_id": pairing_id,
        "remote_user_id": remote_user_id,
        "lease": lease,
    }
    row = await (await connection.execute(_ACQUIRE, parameters)).fetchone()
    return None if row is None else (row[0], row[1])


async def find(connection: Connection, pairing_id: UUID, token_digest: bytes) -> Found | None:
    """Returns what is known of a pairing's account; None for one without this secret, or revoked."""
    row = await (await connection.execute(_FIND, (pairing_id, token_digest))).fetchone()
    return None if row is None else Found(*row)


async def find_stop_reason(connection: Connection, account_id: UUID) -> str | None:
    """Returns why an account is stopped; None when it is not, or by nothing that a browser reported."""
    row = await (await connection.execute(_STOP_REASON, (account_id,))).fetchone()
    return None if row is None else row[0]


async def renew(
    connection: Connection, instance_id: UUID, sessions: Mapping[UUID, int], lease: timedelta
) -> set[UUID]:
    """Extends sessions (account, epoch); returns the accounts whose session is still held."""
    parameters = (lease, list(sessions), list(sessions.values()), instance_id)
    return {row[0] for row in await (await connection.execute(_RENEW, parameters)).fetchall()}


async def release(connection: Connection, instance_id: UUID, account_id: UUID, epoch: int) -> None:
    """Gives a session back, if it is held."""
    await connection.execute(_RELEASE, (account_id, epoch, instance_id))


async def find_routes(connection: Connection, job_ids: Collection[UUID]) -> dict[UUID, Route]:
    """Returns where the commands of jobs may go."""
    rows = await (await connection.execute(_FIND_ROUTES, (list(job_ids),))).fetchall()
    return {row[0]: Route(row[1], row[2]) for row in rows}


async def wake(connection: Connection, account_id: UUID, reasons: Sequence[str]) -> list[tuple[str, int]]:
    """Makes an account's jobs ready that wait for these reasons; returns (marketplace, tenant) of each."""
    rows = await (await connection.execute(_WAKE, (account_id, list(reasons)))).fetchall()
    return [(row[0], row[1]) for row in rows]


async def find_returned(connection: Connection) -> list[UUID]:
    """Returns accounts with a session whose jobs wait for one."""
    return [row[0] for row in await (await connection.execute(_FIND_RETURNED)).fetchall()]


async def delete_spent_codes(connection: Connection) -> None:
    """Forgets pairing codes that ended long ago."""
    await connection.execute(_DELETE_SPENT_CODES)
