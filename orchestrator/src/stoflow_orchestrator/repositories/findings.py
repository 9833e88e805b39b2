"""What syncs found at marketplaces, in the tenants' own schemas and in the transaction of the result.

Plain psycopg and unprepared, for the reasons of `tenant_effects`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import uuid_utils.compat as uuid_utils
from psycopg import AsyncConnection, sql
from stoflow.catalog.v1 import order_pb2
from stoflow.common.v1.money_pb2 import Money
from stoflow.connector.v1 import task_pb2

from stoflow_orchestrator.engine.changes import Findings
from stoflow_orchestrator.messages.times import to_datetime
from stoflow_orchestrator.migrations.runner import tenant_schema
from stoflow_orchestrator.repositories.sales import apply_sales
from stoflow_orchestrator.repositories.tenant_effects import LOCK_TIMEOUT, listing_state

Connection = AsyncConnection[Any]

ORDER_STATE_PREFIX = "ORDER_STATE_"

# One that nobody has linked takes the product with its SKU; one that is known keeps what the seller or a job said. What
# was written since the attempt began is newer than what it saw. Rows that are as they were are left alone, so that a
# sync that finds nothing new writes nothing. What is written is planned to be looked at, as results of jobs are.
_UPSERT_LISTINGS = sql.SQL("""
    WITH written AS (
        INSERT INTO {schema}.listings AS l (listing_id, marketplace, account_id, product_id, link, site, remote_id,
                                            sku, title, url, state, price_currency, price_minor, product_version,
                                            update_time)
        SELECT f.listing_id, %(marketplace)s, %(account_id)s, p.product_id,
               CASE WHEN p.product_id IS NOT NULL THEN 'SKU' END, %(site)s, f.remote_id, f.sku, f.title, f.url, f.state,
               f.price_currency, f.price_minor, coalesce(p.version, 0), now()
          FROM jsonb_to_recordset(%(listings)s::jsonb)
            AS f(listing_id uuid, remote_id text, sku text, title text, url text, state text, price_currency text,
                 price_minor bigint)
          LEFT JOIN {schema}.products AS p ON p.sku = f.sku AND f.sku <> ''
         ORDER BY f.remote_id
            ON CONFLICT (account_id, remote_id) DO UPDATE
               SET product_id = CASE WHEN l.product_id IS NULL AND l.link IS NULL
                                     THEN excluded.product_id ELSE l.product_id END,
                   link = CASE WHEN l.product_id IS NULL AND l.link IS NULL THEN excluded.link ELSE l.link END,
                   product_version = CASE WHEN l.product_id IS NULL AND l.link IS NULL
                                          THEN excluded.product_version ELSE l.product_version END,
                   sku = coalesce(nullif(excluded.sku, ''), l.sku),
                   title = coalesce(nullif(excluded.title, ''), l.title),
                   url = coalesce(nullif(excluded.url, ''), l.url), state = excluded.state,
                   price_currency = coalesce(excluded.price_currency, l.price_currency),
                   price_minor = coalesce(excluded.price_minor, l.price_minor), update_time = now()
             WHERE l.update_time <= %(observed_time)s
               AND (l.state <> excluded.state OR excluded.sku NOT IN ('', l.sku) OR excluded.url NOT IN ('', l.url)
                    OR excluded.title NOT IN ('', l.title)
                    OR l.product_id IS NULL AND l.link IS NULL AND excluded.product_id IS NOT NULL
                    OR excluded.price_minor IS NOT NULL
                       AND (excluded.price_currency, excluded.price_minor)
                           IS DISTINCT FROM (l.price_currency, l.price_minor))
        RETURNING l.account_id, l.product_id, l.site, l.state
    )
    INSERT INTO public.due_listing_updates AS d (account_id, product_id, site, tenant_id, update_id, first_time,
                                                 due_time, problem)
    SELECT DISTINCT ON (w.product_id, w.site) w.account_id, w.product_id, w.site, g.tenant_id, gen_random_uuid(), now(),
           now() + make_interval(secs => g.update_quiet_seconds), ''
      FROM written AS w JOIN public.account_gates AS g USING (account_id)
     WHERE g.update_quiet_seconds IS NOT NULL AND w.product_id IS NOT NULL AND w.state = 'LIVE'
     ORDER BY w.product_id, w.site
        ON CONFLICT (account_id, product_id, site) DO UPDATE SET update_id = excluded.update_id
         WHERE d.due_time IS NOT NULL""")

# The same time of change with another state is believed: some marketplaces do not count a cancellation as a change.
_UPSERT_ORDERS = sql.SQL("""
    WITH written AS (
        INSERT INTO {schema}.orders AS o (order_id, marketplace, account_id, remote_id, state, total_currency,
                                          total_minor, place_time, change_time, update_time)
        SELECT f.order_id, %(marketplace)s, %(account_id)s, f.remote_id, f.state, f.total_currency, f.total_minor,
               f.place_time, f.change_time, now()
          FROM jsonb_to_recordset(%(orders)s::jsonb)
            AS f(order_id uuid, remote_id text, state text, total_currency text, total_minor bigint,
                 place_time timestamptz, change_time timestamptz)
         ORDER BY f.remote_id
            ON CONFLICT (account_id, remote_id) DO UPDATE
               SET state = excluded.state, total_currency = coalesce(excluded.total_currency, o.total_currency),
                   total_minor = coalesce(excluded.total_minor, o.total_minor), place_time = excluded.place_time,
                   change_time = excluded.change_time, update_time = now()
             WHERE o.change_time < excluded.change_time
                OR o.change_time = excluded.change_time AND o.state <> excluded.state
        RETURNING o.order_id, o.remote_id
    )
    INSERT INTO {schema}.order_lines AS x (order_id, remote_id, position, product_id, listing_remote_id, sku, title,
                                           quantity, price_currency, price_minor)
    SELECT w.order_id, f.remote_id, f.position, coalesce(l.product_id, p.product_id), f.listing_remote_id, f.sku,
           f.title, f.quantity, f.price_currency, f.price_minor
      FROM jsonb_to_recordset(%(lines)s::jsonb)
        AS f(order_remote_id text, remote_id text, position int, listing_remote_id text, sku text, title text,
             quantity int, price_currency text, price_minor bigint)
      JOIN written AS w ON w.remote_id = f.order_remote_id
      LEFT JOIN {schema}.listings AS l ON l.account_id = %(account_id)s AND l.remote_id = f.listing_remote_id
      LEFT JOIN {schema}.products AS p ON p.sku = f.sku AND f.sku <> ''
        ON CONFLICT (order_id, remote_id) DO UPDATE
           SET position = excluded.position, product_id = coalesce(x.product_id, excluded.product_id),
               listing_remote_id = excluded.listing_remote_id, sku = excluded.sku, title = excluded.title,
               quantity = excluded.quantity, price_currency = excluded.price_currency,
               price_minor = excluded.price_minor""")


async def apply_findings(connection: Connection, findings: Iterable[Findings]) -> None:
    """Stores what syncs found, of each account in the order of the results."""
    await connection.execute(LOCK_TIMEOUT)
    for found in sorted(findings, key=lambda found: (found.job.tenant_id, found.job.account_id)):
        schema = sql.Identifier(tenant_schema(found.job.tenant_id))
        subject = {
            "marketplace": found.job.marketplace,
            "account_id": found.job.account_id,
        }
        if found.listings:
            statement = _UPSERT_LISTINGS.format(schema=schema)
            values = {
                **subject,
                "site": found.job.site,
                "listings": json.dumps(_listing_rows(found.listings)),
                "observed_time": found.observed_time,
            }
            await connection.execute(statement, values, prepare=False)
        if found.orders:
            orders = list({order.remote_id: order for order in found.orders}.values())
            values = {
                **subject,
                "orders": json.dumps([_order_row(order) for order in orders]),
                "lines": json.dumps([row for order in orders for row in _line_rows(order)]),
            }
            await connection.execute(_UPSERT_ORDERS.format(schema=schema), values, prepare=False)
            await apply_sales(connection, found.job, [order.remote_id for order in orders])


def _listing_rows(changes: Iterable[task_pb2.ListingChange]) -> list[dict[str, Any]]:
    # Of one that a page shows twice the last counts: a statement may write a row once.
    return [
        {
            "listing_id": str(uuid_utils.uuid7()),
            "remote_id": change.remote_id,
            "sku": change.sku,
            "title": change.title,
            "url": change.url,
            "state": listing_state(change),
            **_money_columns("price", change.price if change.HasField("price") else None),
        }
        for change in {change.remote_id: change for change in changes}.values()
    ]


def _order_row(order: task_pb2.OrderChange) -> dict[str, Any]:
    return {
        "order_id": str(uuid_utils.uuid7()),
        "remote_id": order.remote_id,
        "state": order_pb2.OrderState.Name(order.state).removeprefix(ORDER_STATE_PREFIX),
        "place_time": to_datetime(order.place_time).isoformat(),
        "change_time": to_datetime(order.change_time).isoformat(),
        **_money_columns("total", order.total if order.HasField("total") else None),
    }


def _line_rows(order: task_pb2.OrderChange) -> list[dict[str, Any]]:
    return [
        {
            "order_remote_id": order.remote_id,
            "remote_id": line.remote_id,
            "position": position,
            "listing_remote_id": line.listing_remote_id,
            "sku": line.sku,
            "title": line.title,
            "quantity": line.quantity,
            **_money_columns("price", line.price if line.HasField("price") else None),
        }
        for position, line in enumerate(order.lines)
    ]


def _money_columns(name: str, money: Money | None) -> dict[str, Any]:
    return {
        f"{name}_currency": None if money is None else money.currency_code,
        f"{name}_minor": None if money is None else money.amount_minor,
    }
