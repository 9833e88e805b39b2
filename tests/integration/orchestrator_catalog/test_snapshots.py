"""Products as jobs carry them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import event
from stoflow.catalog.v1.product_pb2 import CONDITION_GOOD, AttributeValues, MarketplaceOverride
from stoflow.common.v1.money_pb2 import Money

from stoflow_orchestrator.services.snapshots import PRODUCTS_A_READ
from tests.integration.orchestrator_catalog.catalog_api import CatalogApi, picture


@contextmanager
def counted_statements(api: CatalogApi) -> Iterator[list[str]]:
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    engine = api.database.public().sync_engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", count)


async def map_values(api: CatalogApi, marketplace: str, *mappings: tuple[str, str, str]) -> None:
    for attribute, key, value in mappings:
        await api.sql(
            "INSERT INTO public.marketplace_mappings VALUES (:marketplace, :attribute, :key, :value, 'manifest')",
            marketplace=marketplace,
            attribute=attribute,
            key=key,
            value=value,
        )


async def test_snapshot_speaks_the_marketplaces_words(api: CatalogApi) -> None:
    """The marketplace's override and mappings are applied, those of others are not, and images are in order."""
    tenant_id = await api.new_tenant()
    await map_values(
        api,
        "ebay",
        ("category", "clothing/women/dresses", "63861"),
        ("condition", "GOOD", "USED_GOOD"),
        ("condition", "VERY_GOOD", "USED_EXCELLENT"),
    )
    await map_values(api, "etsy", ("category", "clothing/women/dresses", "9"))
    product = await api.new_product(
        tenant_id,
        condition=CONDITION_GOOD,
        attributes={"Size": AttributeValues(values=["M"])},
        overrides=[
            MarketplaceOverride(
                marketplace="ebay", title="Short", price=Money(currency_code="EUR", amount_minor=4500)
            ),
            MarketplaceOverride(marketplace="etsy", description="Handmade", category_id="77"),
        ],
    )
    product_id = UUID(product.product_id)
    for shade in (3, 1, 2):
        product = await api.add_image(tenant_id, product.product_id, picture(color=(shade, 0, 0)))
    ebay = (await api.snapshots.load(tenant_id, [product_id], "ebay"))[product_id].message
    assert dict(ebay.mappings) == {"category": "63861", "condition": "USED_GOOD"}
    assert (ebay.product.content.title, ebay.product.content.description) == ("Short", "Worn twice.")
    assert ebay.product.content.price == Money(currency_code="EUR", amount_minor=4500)
    assert list(ebay.product.content.overrides) == []
    assert list(ebay.product.images) == list(product.images)
    assert [image.url for image in ebay.product.images] == [""] * 3
    assert (ebay.product.version, ebay.product.tenant_id) == (4, tenant_id)
    assert ebay.product.content.attributes["Size"].values == ["M"]
    etsy = (await api.snapshots.load(tenant_id, [product_id], "etsy"))[product_id].message
    assert dict(etsy.mappings) == {"category": "77"}
    assert (etsy.product.content.title, etsy.product.content.description) == ("Linen dress", "Handmade")
    assert etsy.product.content.price.amount_minor == 3900
    vinted = (await api.snapshots.load(tenant_id, [product_id], "vinted"))[product_id].message
    assert (dict(vinted.mappings), vinted.product.content.title) == ({}, "Linen dress")


async def test_missing_products_are_absent(api: CatalogApi) -> None:
    """Unknown products and those of another tenant are not in the result; no ids give none."""
    tenant_id, other = await api.new_tenant(), await api.new_tenant()
    mine = UUID((await api.new_product(tenant_id)).product_id)
    foreign = UUID((await api.new_product(other)).product_id)
    found = await api.snapshots.load(tenant_id, [mine, foreign, uuid4(), mine], "ebay")
    assert list(found) == [mine]
    assert await api.snapshots.load(tenant_id, [], "ebay") == {}


async def test_products_are_read_by_the_hundreds(api: CatalogApi) -> None:
    """A thousand products with images take a statement for every 250, and one for all mappings."""
    tenant_id = await api.new_tenant()
    await map_values(api, "ebay", ("category", "accessories/bags", "1"))
    rows = await api.sql(
        f"INSERT INTO user_{tenant_id}.products SELECT gen_random_uuid(), 'sku' || n, 't', '', 'EUR', n, 1, '',"
        " 'accessories/bags', 'GOOD', '{}', '{}', 1 FROM generate_series(1, 1000) AS n RETURNING product_id"
    )
    await api.sql(
        f"INSERT INTO user_{tenant_id}.product_images SELECT gen_random_uuid(), product_id, n, repeat('a', 64),"
        f" 'image/jpeg', 1, 1, 1 FROM user_{tenant_id}.products, generate_series(0, 2) AS n"
    )
    product_ids = [row.product_id for row in rows]
    with counted_statements(api) as for_one:
        await api.snapshots.load(tenant_id, product_ids[:1], "ebay")
    with counted_statements(api) as for_all:
        found = await api.snapshots.load(tenant_id, product_ids, "ebay")
    assert (len(for_one), len(for_all)) == (2, 1000 // PRODUCTS_A_READ + 1)
    assert len(found) == 1000
    assert {len(snapshot.message.product.images) for snapshot in found.values()} == {3}
    assert {dict(snapshot.message.mappings)["category"] for snapshot in found.values()} == {"1"}
