"""What operators decide about marketplaces and accounts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import namedtuple_row

Connection = AsyncConnection[Any]

_IS_REGISTERED: LiteralString = "SELECT 1 FROM public.connector_manifests WHERE marketplace = %s LIMIT 1"

_FIND_MARKETPLACE: LiteralString = """
    SELECT marketplace, pause_time, pause_reason, max_admitted_jobs FROM public.marketplace_gates
     WHERE marketplace = %s"""

_PAUSE_MARKETPLACE: LiteralString = """
    INSERT INTO public.marketplace_gates AS g (marketplace, pause_time, pause_reason) VALUES (%s, now(), %s)
        ON CONFLICT (marketplace) DO UPDATE
           SET pause_time = coalesce(g.pause_time, now()), pause_reason = excluded.pause_reason"""

# Whoever lets it go on has seen that the limit is over.
_RESUME_MARKETPLACE: LiteralString = """
    UPDATE public.marketplace_gates SET pause_time = NULL, pause_reason = '', rate_limit_time = NULL
     WHERE marketplace = %s"""

_LIMIT_MARKETPLACE: LiteralString = """
    INSERT INTO public.marketplace_gates (marketplace, max_admitted_jobs) VALUES (%s, %s)
        ON CONFLICT (marketplace) DO UPDATE SET max_admitted_jobs = excluded.max_admitted_jobs"""

_FIND_ACCOUNT: LiteralString = """
    SELECT account_id, tenant_id, marketplace, state, pause_time, pause_reason, max_admitted_jobs
      FROM public.account_gates WHERE tenant_id = %s AND account_id = %s"""

_PAUSE_ACCOUNT: LiteralString = """
    UPDATE public.account_gates SET pause_time = coalesce(pause_time, now()), pause_reason = %s
     WHERE account_id = %s"""

_RESUME_ACCOUNT: LiteralString = """
    UPDATE public.account_gates SET pause_time = NULL, pause_reason = '', rate_limit_time = NULL
     WHERE account_id = %s"""

_LIMIT_ACCOUNT: LiteralString = "UPDATE public.account_gates SET max_admitted_jobs = %s WHERE account_id = %s"

# In order, as whoever locks several gates does.
_HOLD_ACCOUNTS: LiteralString = """
    WITH locked AS MATERIALIZED (
        SELECT g.account_id, u.until FROM unnest(%s::uuid[], %s::timestamptz[]) AS u(account_id, until)
          JOIN public.account_gates AS g USING (account_id) ORDER BY g.account_id FOR UPDATE OF g
    )
    UPDATE public.account_gates AS g SET rate_limit_time = greatest(g.rate_limit_time, l.until)
      FROM locked AS l WHERE g.account_id = l.account_id"""

_HOLD_MARKETPLACES: LiteralString = """
    INSERT INTO public.marketplace_gates AS g (marketplace, rate_limit_time)
    SELECT * FROM unnest(%s::text[], %s::timestamptz[])
        ON CONFLICT (marketplace) DO UPDATE
           SET rate_limit_time = greatest(g.rate_limit_time, excluded.rate_limit_time)"""


async def hold_back(
    connection: Connection, accounts: Mapping[UUID, datetime], marketplaces: Mapping[str, datetime]
) -> None:
    """Holds jobs back until the marketplace's limits are over; a later end stays; sends only."""
    if accounts:
        columns = (list(accounts), list(accounts.values()))
        await connection.execute(_HOLD_ACCOUNTS, columns)
    if marketplaces:
        ordered = sorted(marketplaces)
        await connection.execute(_HOLD_MARKETPLACES, (ordered, [marketplaces[name] for name in ordered]))


async def is_registered(connection: Connection, marketplace: str) -> bool:
    """Tells whether a connector has ever registered the marketplace."""
    return await (await connection.execute(_IS_REGISTERED, (marketplace,))).fetchone() is not None


async def find_marketplace(connection: Connection, marketplace: str) -> Any | None:
    """Returns the gate of a marketplace, if an operator ever set it."""
    return await _fetch_one(connection, _FIND_MARKETPLACE, (marketplace,))


async def pause_marketplace(connection: Connection, marketplace: str, reason: str) -> None:
    """Closes a marketplace; the time of the first pause stays."""
    await connection.execute(_PAUSE_MARKETPLACE, (marketplace, reason))


async def resume_marketplace(connection: Connection, marketplace: str) -> None:
    """Opens a marketplace."""
    await connection.execute(_RESUME_MARKETPLACE, (marketplace,))


async def limit_marketplace(connection: Connection, marketplace: str, limit: int | None) -> None:
    """Sets or takes away the limit of a marketplace."""
    await connection.execute(_LIMIT_MARKETPLACE, (marketplace, limit))


async def find_account(connection: Connection, tenant_id: int, account_id: UUID) -> Any | None:
    """Returns the gate of a tenant's account."""
    return await _fetch_one(connection, _FIND_ACCOUNT, (tenant_id, account_id))


async def pause_account(connection: Connection, account_id: UUID, reason: str) -> None:
    """Holds an account's jobs back; the time of the first pause stays."""
    await connection.execute(_PAUSE_ACCOUNT, (reason, account_id))


async def resume_account(connection: Connection, account_id: UUID) -> None:
    """Takes an operator's pause back."""
    await connection.execute(_RESUME_ACCOUNT, (account_id,))


async def limit_account(connection: Connection, account_id: UUID, limit: int | None) -> None:
    """Sets or takes away the limit of an account."""
    await connection.execute(_LIMIT_ACCOUNT, (limit, account_id))


async def _fetch_one(connection: Connection, statement: LiteralString, parameters: Any) -> Any | None:
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchone()
