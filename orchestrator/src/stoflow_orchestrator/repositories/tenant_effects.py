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

from stoflow_orchestrator.engine.changes import ListingUpdate
from stoflow_orchestrator.migrations.runner import tenant_schema

Connection = AsyncConnection[Any]

# A tenant that is being migrated must not hold up the others of the group for long: the statement fails, the group is
# taken apart, and only that tenant's reports are tried again.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"

_UPSERT_LISTING = sql.SQL("""
    INSERT INTO {schema}.listings AS l (listing_id, marketplace, account_id, product_id, site, remote_id, url,
                                        state, price_currency, price_minor, product_version, update_time)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now())
        ON CONFLICT (account_id, remote_id) DO UPDATE
           SET url = coalesce(nullif(excluded.url, ''), l.url), state = excluded.state,
               price_currency = coalesce(excluded.price_currency, l.price_currency),
               price_minor = coalesce(excluded.price_minor, l.price_minor),
               product_version = excluded.product_version, update_time = now()
         WHERE l.product_version <= excluded.product_version""")

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
    """Stores what results said of listings, in the order of the results."""
    await connection.execute(_LOCK_TIMEOUT)
    for update in updates:
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
                change.url,
                listing_pb2.ListingState.Name(change.state).removeprefix("LISTING_STATE_"),
                change.price.currency_code if has_price else None,
                change.price.amount_minor if has_price else None,
                update.product_version,
            ),
            prepare=False,
        )


async def refuse_accounts(connection: Connection, accounts: Mapping[tuple[int, UUID], datetime]) -> None:
    """Marks accounts as to be connected again, for people and for admission.

    Args:
        connection: In the transaction of the results.
        accounts: By tenant and account: when the newest attempt began that was refused. An account that was connected
            again since is left alone.
    """
    await connection.execute(_LOCK_TIMEOUT)
    ordered = sorted(accounts)
    account_ids = [account_id for _, account_id in ordered]
    await connection.execute(_LOCK_GATES, (account_ids,))
    await connection.execute(_CLOSE_GATES, (account_ids, [accounts[key] for key in ordered]))
    for tenant_id, group in groupby(ordered, key=lambda pair: pair[0]):
        statement = _REFUSE_ACCOUNT.format(schema=sql.Identifier(tenant_schema(tenant_id)))
        await connection.execute(statement, ([account_id for _, account_id in group],), prepare=False)
