"""What accepted results change in tenants' own schemas, in the transaction of the result.

Plain psycopg with the schema's name as an identifier: the hot path has no SQLAlchemy connection. Unprepared: each
schema makes statements of its own, and prepared ones would push out those of the hot path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuid_utils
from psycopg import AsyncConnection, sql
from stoflow.catalog.v1 import listing_pb2
from stoflow.connector.v1 import task_pb2

from stoflow_orchestrator.engine.changes import ListingUpdate
from stoflow_orchestrator.migrations.runner import tenant_schema

Connection = AsyncConnection[Any]

# Behind a CTE `written`. A product that changed since the job froze it leaves its new listing stale at once. The lock
# makes this result wait for a change that is just happening, and then see it; a later change sees this listing.
PLAN_UPDATES = sql.SQL("""
    locked AS MATERIALIZED (
        SELECT p.product_id, p.version, a.account_id, a.update_quiet_seconds
          FROM written AS w
          JOIN {schema}.accounts AS a ON a.account_id = w.account_id AND a.update_quiet_seconds IS NOT NULL
          JOIN {schema}.products AS p ON p.product_id = w.product_id
         WHERE w.state = 'LIVE'
         ORDER BY p.product_id FOR SHARE OF p
    )
    INSERT INTO public.due_listing_updates (account_id, product_id, site, tenant_id, update_id, first_time,
                                            due_time, problem)
    SELECT DISTINCT ON (w.account_id, w.product_id, w.site) w.account_id, w.product_id, w.site, %(tenant_id)s,
           gen_random_uuid(), now(), now() + make_interval(secs => k.update_quiet_seconds), ''
      FROM written AS w JOIN locked AS k USING (account_id, product_id)
     WHERE w.state = 'LIVE' AND k.version > w.product_version
        ON CONFLICT DO NOTHING""")

# A tenant that is being migrated must not hold up the others of the group for long: the statement fails, the group is
# taken apart, and only that tenant's reports are tried again.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"

# Who unlinked a listing, or linked it to another product, is not overruled by a result.
_UPSERT_LISTING = sql.SQL("""
    WITH written AS (
        INSERT INTO {schema}.listings AS l (listing_id, marketplace, account_id, product_id, site, remote_id, sku,
                                            title, url, state, price_currency, price_minor, product_version,
                                            update_time)
        VALUES (%(listing_id)s, %(marketplace)s, %(account_id)s, %(product_id)s, %(site)s, %(remote_id)s, %(sku)s,
                %(title)s, %(url)s, %(state)s, %(price_currency)s, %(price_minor)s, %(product_version)s, now())
            ON CONFLICT (account_id, remote_id) DO UPDATE
               SET product_id = CASE WHEN l.link IS NULL THEN excluded.product_id ELSE l.product_id END,
                   product_version = CASE WHEN l.link IS NULL OR l.product_id = excluded.product_id
                                          THEN excluded.product_version ELSE l.product_version END,
                   url = coalesce(nullif(excluded.url, ''), l.url), state = excluded.state,
                   sku = coalesce(nullif(excluded.sku, ''), l.sku),
                   title = coalesce(nullif(excluded.title, ''), l.title),
                   price_currency = coalesce(excluded.price_currency, l.price_currency),
                   price_minor = coalesce(excluded.price_minor, l.price_minor), update_time = now()
             WHERE l.product_version <= excluded.product_version
                OR l.product_id IS DISTINCT FROM excluded.product_id
        RETURNING l.account_id, l.product_id, l.site, l.state, l.product_version
    ), {plan}""")

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
    for update in sorted(updates, key=_listing_key):
        job, change = update.job, update.change
        has_price = change.HasField("price")
        schema = sql.Identifier(tenant_schema(job.tenant_id))
        await connection.execute(
            _UPSERT_LISTING.format(schema=schema, plan=PLAN_UPDATES.format(schema=schema)),
            {
                "tenant_id": job.tenant_id,
                "listing_id": uuid_utils.uuid7(),
                "marketplace": job.marketplace,
                "account_id": job.account_id,
                "product_id": job.product_id,
                "site": job.site,
                "remote_id": change.remote_id,
                "sku": change.sku,
                "title": change.title,
                "url": change.url,
                "state": listing_state(change),
                "price_currency": change.price.currency_code if has_price else None,
                "price_minor": change.price.amount_minor if has_price else None,
                "product_version": update.product_version,
            },
            prepare=False,
        )


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
