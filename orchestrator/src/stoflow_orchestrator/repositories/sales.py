"""A sale of a product ends or updates its other listings: in the transaction that stores the order.

Plain psycopg and unprepared, for the reasons of `tenant_effects`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog
from psycopg import AsyncConnection, sql

from stoflow_orchestrator.engine.records import Job
from stoflow_orchestrator.engine.sales import Sales, SoldLine, Stock, count_sales
from stoflow_orchestrator.migrations.runner import tenant_schema

log = structlog.get_logger(__name__)

Connection = AsyncConnection[Any]

_COLUMNS = sql.SQL("""
    SELECT x.order_id, x.remote_id, x.product_id, x.quantity, x.taken_quantity, x.is_counted,
           o.state = 'CANCELLED', o.place_time, x.listing_remote_id
      FROM {schema}.orders AS o JOIN {schema}.order_lines AS x USING (order_id)""")

# The orders were locked when they were stored. A sync that finds nothing new changes no line.
_LIST_LINES = sql.SQL("""
    {columns}
     WHERE o.account_id = %(account_id)s AND o.remote_id = ANY(%(orders)s) AND x.product_id IS NOT NULL
       AND CASE WHEN o.state = 'CANCELLED' THEN x.is_counted
                ELSE NOT x.is_counted OR x.taken_quantity > x.quantity END""")

# What is under way to the buyer needs no piece any more.
_LIST_SHORT_LINES = sql.SQL("""
    {columns} JOIN {schema}.products AS p USING (product_id)
     WHERE x.product_id = ANY(%(products)s) AND x.is_counted AND x.taken_quantity < x.quantity
       AND o.state IN ('PLACED', 'PAID') AND o.place_time >= p.create_time""")

# Listings before products, as everywhere.
_LOCK_LISTINGS = sql.SQL("""
    SELECT 1 FROM {schema}.listings WHERE product_id = ANY(%(products)s) ORDER BY account_id, remote_id FOR UPDATE""")

_LOCK_PRODUCTS = sql.SQL("""
    SELECT product_id, stock_quantity, version, create_time FROM {schema}.products
     WHERE product_id = ANY(%(products)s) ORDER BY product_id FOR UPDATE""")

_SAVE_LINES = sql.SQL("""
    UPDATE {schema}.order_lines AS x SET taken_quantity = u.taken, is_counted = u.is_counted
      FROM unnest(%(orders)s::uuid[], %(lines)s::text[], %(taken)s::int[], %(counted)s::boolean[])
        AS u(order_id, remote_id, taken, is_counted)
     WHERE x.order_id = u.order_id AND x.remote_id = u.remote_id""")

# The listing that was sold from counted down by itself: what was up to date stays so.
_SAVE_STOCKS = sql.SQL("""
    WITH changed AS (
        UPDATE {schema}.products AS p
           SET stock_quantity = u.quantity, version = p.version + 1, update_time = clock_timestamp()
          FROM unnest(%(products)s::uuid[], %(quantities)s::int[]) AS u(product_id, quantity)
         WHERE p.product_id = u.product_id
        RETURNING p.product_id, p.version
    )
    UPDATE {schema}.listings AS l SET product_version = c.version
      FROM changed AS c
     WHERE l.product_id = c.product_id AND l.product_version = c.version - 1
       AND l.account_id = %(account_id)s AND l.remote_id = ANY(%(sold_from)s)""")

# Whatever shows the product elsewhere, and of a product of which nothing is left whatever may show it soon.
_PLAN = sql.SQL("""
    INSERT INTO public.due_listing_updates AS d (account_id, product_id, site, tenant_id, action, update_id, first_time,
                                                 due_time, problem)
    SELECT s.account_id, s.product_id, s.site, %(tenant_id)s, u.action, gen_random_uuid(), now(), now(), ''
      FROM (SELECT l.account_id, l.product_id, l.site FROM {schema}.listings AS l
             WHERE l.product_id = ANY(%(products)s) AND l.state = 'LIVE'
               AND NOT (l.account_id = %(account_id)s AND l.remote_id = ANY(%(sold_from)s))
             UNION
            SELECT j.account_id, j.product_id, j.site FROM public.live_jobs AS j
             WHERE j.tenant_id = %(tenant_id)s AND j.product_id = ANY(%(empty)s) AND j.action <> 'delete'
               AND j.state IN ('PENDING', 'RUNNING', 'PAUSED')) AS s
      JOIN unnest(%(products)s::uuid[], %(actions)s::text[]) AS u(product_id, action) USING (product_id)
      JOIN public.account_gates AS g ON g.account_id = s.account_id AND g.state <> 'ERASED'
     ORDER BY s.account_id, s.product_id, s.site
        ON CONFLICT (account_id, product_id, site) DO UPDATE
           SET action = excluded.action, update_id = excluded.update_id, due_time = excluded.due_time, problem = ''""")


async def apply_sales(connection: Connection, job: Job, order_remote_ids: Sequence[str]) -> None:
    """Counts what the orders of an account sold, and plans what follows for the products' other listings."""
    schema = sql.Identifier(tenant_schema(job.tenant_id))
    lines = await _list(
        connection, _LIST_LINES, schema, account_id=job.account_id, orders=list(order_remote_ids)
    )
    if not lines:
        return
    products = sorted({line.product_id for line in lines})
    await _execute(connection, _LOCK_LISTINGS, schema, products=products)
    cursor = await _execute(connection, _LOCK_PRODUCTS, schema, products=products)
    stocks = {row[0]: Stock(*row) for row in await cursor.fetchall()}
    short_lines = await _list(connection, _LIST_SHORT_LINES, schema, products=products)
    counted = {(line.order_id, line.remote_id) for line in lines}
    sales = count_sales(
        lines, stocks, [line for line in short_lines if (line.order_id, line.remote_id) not in counted]
    )
    await _save(connection, schema, job, sales)
    for line in sales.oversold:
        log.error(
            "product_oversold",
            tenant_id=job.tenant_id,
            product_id=str(line.product_id),
            order_id=str(line.order_id),
            missing=line.shortage,
        )
    await _plan(connection, schema, job, sales, stocks, lines)


async def _save(connection: Connection, schema: sql.Identifier, job: Job, sales: Sales) -> None:
    await _execute(
        connection,
        _SAVE_LINES,
        schema,
        orders=[line.order_id for line in sales.lines],
        lines=[line.remote_id for line in sales.lines],
        taken=[line.taken for line in sales.lines],
        counted=[line.is_counted for line in sales.lines],
    )
    if sales.stocks:
        await _execute(
            connection,
            _SAVE_STOCKS,
            schema,
            products=[stock.product_id for stock in sales.stocks],
            quantities=[stock.quantity for stock in sales.stocks],
            account_id=job.account_id,
            sold_from=_sold_from(sales.lines, sales),
        )


async def _plan(
    connection: Connection,
    schema: sql.Identifier,
    job: Job,
    sales: Sales,
    stocks: dict[UUID, Stock],
    lines: Sequence[SoldLine],
) -> None:
    touched = sorted(sales.sold | sales.restocked)
    if not touched:
        return
    empty = [product_id for product_id in touched if stocks[product_id].quantity == 0]
    await _execute(
        connection,
        _PLAN,
        schema,
        tenant_id=job.tenant_id,
        account_id=job.account_id,
        products=touched,
        actions=["delete" if product_id in empty else "update" for product_id in touched],
        empty=empty,
        sold_from=_sold_from(lines, sales),
    )


def _sold_from(lines: Sequence[SoldLine], sales: Sales) -> list[str]:
    # A listing whose order was cancelled may not have counted up again.
    return sorted(
        {
            line.listing_remote_id
            for line in lines
            if line.listing_remote_id and not line.is_cancelled and line.product_id not in sales.restocked
        }
    )


async def _list(
    connection: Connection, statement: sql.SQL, schema: sql.Identifier, **values: Any
) -> list[SoldLine]:
    composed = statement.format(columns=_COLUMNS.format(schema=schema), schema=schema)
    cursor = await connection.execute(composed, values, prepare=False)
    return [SoldLine(*row) for row in await cursor.fetchall()]


async def _execute(connection: Connection, statement: sql.SQL, schema: sql.Identifier, **values: Any) -> Any:
    return await connection.execute(statement.format(schema=schema), values, prepare=False)
