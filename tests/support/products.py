"""Products by the thousand."""

from __future__ import annotations

import psycopg

_INSERT_PRODUCTS = """
    INSERT INTO user_{tenant_id}.products (product_id, sku, title, description, price_currency, price_minor,
        stock_quantity, brand, category, condition, attributes, overrides, version)
    SELECT gen_random_uuid(), gen_random_uuid()::text, 'Linen dress ' || i, '', 'USD', 3900, 1, '',
           'clothing/women/dresses', 'VERY_GOOD', '{{}}', '{{}}', 1 FROM generate_series(1, %s) AS i
    RETURNING product_id::text"""


async def insert_products(database_url: str, tenant_id: int, count: int) -> list[str]:
    """Inserts products at once, titled by their number; thousands of calls would take longer than a test."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute(_INSERT_PRODUCTS.format(tenant_id=tenant_id), (count,))
        return [row[0] for row in await cursor.fetchall()]
