"""What accepted results change in tenants' own schemas, in the transaction of the result.

Plain psycopg with the schema's name as an identifier: the hot path has no SQLAlchemy connection. Unprepared: each
schema makes statements of its own, and prepared ones would push out those of the hot path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuid_utils
from psycopg import AsyncConnection, sql
from stoflow.catalog.v1 import listing_pb2
from stoflow.connector.v1 import task_pb2

from stoflow_orchestrator.engine.changes import ListingUpdate
from stoflow_orchestrator.engine.records import Job
from stoflow_orchestrator.migrations.runner import tenant_schema
from stoflow_service_kit.structs import struct_to_json

Connection = AsyncConnection[Any]

# A tenant that is being migrated must not hold up the others of the group for long: the statement fails, the group is
# taken apart, and only that tenant's reports are tried again.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"

# Who unlinked a listing, or linked it to another product, is not overruled by a result.
_UPSERT_LISTING = sql.SQL("""
    INSERT INTO {schema}.listings AS l (listing_id, marketplace, account_id, product_id, site, remote_id, sku, title,
                                        url, state, price_currency, price_minor, product_version, notes, update_time)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now())
        ON CONFLICT (account_id, remote_id) DO UPDATE
           SET product_id = CASE WHEN l.link IS NULL THEN excluded.product_id ELSE l.product_id END,
               product_version = CASE WHEN l.product_id = excluded.product_id
                                      THEN greatest(l.product_version, excluded.product_version)
                                      WHEN l.link IS NULL THEN excluded.product_version ELSE l.product_version END,
               notes = coalesce(excluded.notes, l.notes),
               url = coalesce(nullif(excluded.url, ''), l.url), state = excluded.state,
               sku = coalesce(nullif(excluded.sku, ''), l.sku),
               title = coalesce(nullif(excluded.title, ''), l.title),
               price_currency = coalesce(excluded.price_currency, l.price_currency),
               price_minor = coalesce(excluded.price_minor, l.price_minor), update_time = now()
         WHERE l.product_version <= excluded.product_version
            OR l.product_id IS DISTINCT FROM excluded.product_id
            -- That it is over is true whatever version of the product the job carried that ended it.
            OR excluded.state IN ('ENDED', 'SOLD')""")

# A product that changed since the job froze it leaves its new listing stale at once, and nobody has planned an update:
# there was no listing then. So every result plans one, for accounts that ask for updates; what is not stale when it is
# due makes no job. Another id, so that who looks at an earlier plan just now does not take this one away.
_PLAN_UPDATES = """
    INSERT INTO public.due_listing_updates AS d (account_id, product_id, site, tenant_id, update_id, first_time,
                                                 due_time, problem)
    SELECT DISTINCT ON (u.account_id, u.product_id, u.site) u.account_id, u.product_id, u.site, g.tenant_id,
           gen_random_uuid(), now(), now() + make_interval(secs => g.update_quiet_seconds), ''
      FROM unnest(%b::uuid[], %b::uuid[], %b::text[]) AS u(account_id, product_id, site)
      JOIN public.account_gates AS g USING (account_id)
     WHERE g.update_quiet_seconds IS NOT NULL
     ORDER BY u.account_id, u.product_id, u.site
        ON CONFLICT (account_id, product_id, site) DO UPDATE SET update_id = excluded.update_id
         WHERE d.due_time IS NOT NULL"""

_REFUSE_ACCOUNT = sql.SQL("""
    UPDATE {schema}.accounts AS a SET state = 'RECONNECT_REQUIRED', update_time = now()
      FROM public.account_gates AS g
     WHERE a.account_id = ANY(%s) AND a.state = 'CONNECTED'
       AND g.account_id = a.account_id AND g.state = 'RECONNECT_REQUIRED'""")

# The filter below takes no lock on a gate that is closed already, which a reconnection may be opening just now: without
# this one the job would wait for a reconnection that has happened.
_LOCK_GATES = """
    SELECT 1 FROM public.account_gates WHERE account_id = ANY(%s) ORDER BY account_id FOR UPDATE"""

# An attempt that began before the account was authorized anew was refused with the old credentials.
_CLOSE_GATES = """
    UPDATE public.account_gates AS g SET state = 'RECONNECT_REQUIRED'
      FROM unnest(%s::uuid[], %s::timestamptz[]) AS u(account_id, start_time)
     WHERE g.account_id = u.account_id AND g.state = 'CONNECTED' AND g.connect_time <= u.start_time"""


async def apply_listings(connection: Connection, updates: Iterable[ListingUpdate]) -> None:
    """Stores what results said of listings, what they say of one listing in the order of the results."""
    await connection.execute(LOCK_TIMEOUT)
    ordered = sorted(updates, key=_listing_key)
    for update in ordered:
        job, change = update.job, update.change
        has_price = change.HasField("price")
        await connection.execute(
            _UPSERT_LISTING.format(schema=sql.Identifier(tenant_schema(job.tenant_id))),
            (
                uuid_utils.uuid7(),
                job.marketplace,
                job.account_id,
                job.product_id,
                job.site,
                change.remote_id,
                change.sku,
                change.title,
                change.url,
                listing_state(change),
                change.price.currency_code if has_price else None,
                change.price.amount_minor if has_price else None,
                update.product_version,
                struct_to_json(change.notes) if change.HasField("notes") else None,
            ),
            prepare=False,
        )
    await _plan_updates(
        connection, [x.job for x in ordered if x.change.state == listing_pb2.LISTING_STATE_LIVE]
    )


async def _plan_updates(connection: Connection, jobs: Sequence[Job]) -> None:
    if jobs:
        columns = ([j.account_id for j in jobs], [j.product_id for j in jobs], [j.site for j in jobs])
        await connection.execute(_PLAN_UPDATES, columns)


def _listing_key(update: ListingUpdate) -> tuple[int, UUID, str]:
    # The order in which syncs lock listings as well.
    return update.job.tenant_id, update.job.account_id, update.change.remote_id


def listing_state(change: task_pb2.ListingChange) -> str:
    """Returns a state as tables write it."""
    return listing_pb2.ListingState.Name(change.state).removeprefix("LISTING_STATE_")


async def refuse_accounts(connection: Connection, accounts: Mapping[tuple[int, UUID], datetime]) -> None:
    """Marks accounts as to be connected again, for people and for admission.

    Args:
        connection: In the transaction of the results.
        accounts: By tenant and account: when the newest attempt began that was refused. An account that was connected
            again since is left alone.
    """
    await connection.execute(LOCK_TIMEOUT)
    ordered = sorted(accounts)
    account_ids = [account_id for _, account_id in ordered]
    await connection.execute(_LOCK_GATES, (account_ids,))
    await connection.execute(_CLOSE_GATES, (account_ids, [accounts[key] for key in ordered]))
    for tenant_id, group in groupby(ordered, key=lambda pair: pair[0]):
        statement = _REFUSE_ACCOUNT.format(schema=sql.Identifier(tenant_schema(tenant_id)))
        await connection.execute(statement, ([account_id for _, account_id in group],), prepare=False)
