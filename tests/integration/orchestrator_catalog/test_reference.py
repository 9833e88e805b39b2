"""ReferenceService: our vocabulary, and what marketplaces call it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from uuid import UUID

import grpc
from stoflow.catalog.v1 import reference_service_pb2 as rpc
from stoflow.catalog.v1.mapping_pb2 import MappingKey
from stoflow.catalog.v1.product_pb2 import CONDITION_GOOD
from stoflow.catalog.v1.reference_pb2 import (
    REFERENCE_ATTRIBUTE_BRAND,
    REFERENCE_ATTRIBUTE_CATEGORY,
    REFERENCE_ATTRIBUTE_COLOR,
    REFERENCE_ATTRIBUTE_CONDITION,
    REFERENCE_ATTRIBUTE_MATERIAL,
    REFERENCE_ATTRIBUTE_SIZE,
    REFERENCE_SOURCE_DEFAULT,
    REFERENCE_SOURCE_OPERATOR,
    ReferenceAttribute,
    ReferenceValue,
)

from stoflow_orchestrator.migrations.runner import upgrade_public
from stoflow_orchestrator.repositories.database import create_migration_engine
from tests.integration.orchestrator_catalog.catalog_api import CatalogApi, new_id, refusal

Entry = rpc.ImportMappingsRequest.Entry


def value(attribute: ReferenceAttribute.ValueType, key: str, name: str = "A name") -> ReferenceValue:
    return ReferenceValue(attribute=attribute, key=key, name=name)


def mapping(attribute: ReferenceAttribute.ValueType, key: str, text: str) -> Entry:
    return Entry(key=MappingKey(attribute=attribute, key=key), value=text)


def import_request(*values: ReferenceValue, request_id: str = "") -> rpc.ImportReferenceValuesRequest:
    return rpc.ImportReferenceValuesRequest(request_id=request_id or new_id(), values=values)


def mappings_request(
    entries: Iterable[Entry], marketplace: str = "ebay", request_id: str = ""
) -> rpc.ImportMappingsRequest:
    return rpc.ImportMappingsRequest(
        request_id=request_id or new_id(), marketplace=marketplace, mappings=entries
    )


async def keys(api: CatalogApi, attribute: ReferenceAttribute.ValueType, parent: str = "") -> list[str]:
    request = rpc.ListReferenceValuesRequest(attribute=attribute, parent_key=parent, page_size=1000)
    return [found.key for found in (await api.reference.ListReferenceValues(request)).values]


async def test_seed_is_served_in_its_natural_order(api: CatalogApi) -> None:
    """Conditions come from best to worst, sizes from small to large, and the tree level by level."""
    assert (await keys(api, REFERENCE_ATTRIBUTE_CONDITION))[::5] == ["NEW_WITH_TAGS", "FOR_PARTS"]
    sizes = await keys(api, REFERENCE_ATTRIBUTE_SIZE)
    assert sizes.index("xs") < sizes.index("m") < sizes.index("xxl") < sizes.index("eu-38")
    assert "women" not in await keys(api, REFERENCE_ATTRIBUTE_CATEGORY)
    assert await keys(api, REFERENCE_ATTRIBUTE_CATEGORY, "clothing") == [
        "clothing/women",
        "clothing/men",
        "clothing/kids",
    ]
    assert "clothing/women/dresses" in await keys(api, REFERENCE_ATTRIBUTE_CATEGORY, "clothing/women")
    assert await keys(api, REFERENCE_ATTRIBUTE_CATEGORY, "cloth") == []


async def test_values_come_in_pages(api: CatalogApi) -> None:
    """Pages join without a gap, and a token belongs to its query."""
    request = rpc.ListReferenceValuesRequest(attribute=REFERENCE_ATTRIBUTE_COLOR, page_size=9)
    found: list[str] = []
    while True:
        page = await api.reference.ListReferenceValues(request)
        found += [color.key for color in page.values]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert found == await keys(api, REFERENCE_ATTRIBUTE_COLOR)
    request.attribute = REFERENCE_ATTRIBUTE_BRAND
    error = await refusal(api.reference.ListReferenceValues(request))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


async def test_values_are_added_and_renamed_once(api: CatalogApi) -> None:
    """An import adds and renames, says how much, and answers the same when it is repeated."""
    request = import_request(
        value(REFERENCE_ATTRIBUTE_BRAND, "marimekko", "Marimekko"),
        value(REFERENCE_ATTRIBUTE_BRAND, "levis", "LEVI'S"),
        value(REFERENCE_ATTRIBUTE_BRAND, "nike", "Nike"),
        # The parent comes behind its child.
        value(REFERENCE_ATTRIBUTE_CATEGORY, "garden/pots", "Pots"),
        value(REFERENCE_ATTRIBUTE_CATEGORY, "garden", "Garden"),
    )
    response = await api.reference.ImportReferenceValues(request)
    assert (response.created_count, response.changed_count) == (3, 1)
    assert await api.reference.ImportReferenceValues(request) == response
    assert await keys(api, REFERENCE_ATTRIBUTE_CATEGORY, "garden") == ["garden/pots"]
    page = await api.reference.ListReferenceValues(
        rpc.ListReferenceValuesRequest(attribute=REFERENCE_ATTRIBUTE_BRAND, page_size=1000)
    )
    brands = {brand.key: (brand.name, brand.source) for brand in page.values}
    assert brands["levis"] == ("LEVI'S", REFERENCE_SOURCE_OPERATOR)
    assert brands["nike"] == ("Nike", REFERENCE_SOURCE_DEFAULT)
    assert page.values[-1].key == "marimekko"
    tenant_id = await api.new_tenant()
    product = await api.new_product(tenant_id, category="garden/pots")
    assert product.content.category == "garden/pots"
    request.values[0].name = "Other"
    error = await refusal(api.reference.ImportReferenceValues(request))
    assert error.reason == "REQUEST_ID_REUSED"


async def test_operators_names_survive_an_upgrade(api: CatalogApi, database_url: str) -> None:
    """Starting again seeds what is missing and leaves what an operator named."""
    await api.reference.ImportReferenceValues(
        import_request(value(REFERENCE_ATTRIBUTE_COLOR, "navy", "Marine"))
    )
    await api.sql("DELETE FROM public.reference_values WHERE key = 'red'")
    await api.sql("UPDATE public.reference_values SET name = 'Old' WHERE key = 'green'")
    engine = create_migration_engine(database_url)
    await asyncio.to_thread(upgrade_public, engine)
    engine.dispose()
    rows = await api.sql(
        "SELECT key, name FROM public.reference_values WHERE attribute = 'color' AND key IN ('navy', 'red', 'green')"
    )
    assert {row.key: row.name for row in rows} == {"navy": "Marine", "red": "Red", "green": "Green"}


async def test_every_wrong_value_is_named(api: CatalogApi) -> None:
    """All that is wrong with an import is said at once, and nothing of it is stored."""
    error = await refusal(
        api.reference.ImportReferenceValues(
            import_request(
                value(REFERENCE_ATTRIBUTE_BRAND, "good"),
                value(REFERENCE_ATTRIBUTE_BRAND, "H&M"),
                value(REFERENCE_ATTRIBUTE_CATEGORY, "clothing/Women"),
                value(REFERENCE_ATTRIBUTE_CATEGORY, "nowhere/at/all"),
                value(REFERENCE_ATTRIBUTE_CONDITION, "SHABBY"),
                value(REFERENCE_ATTRIBUTE_BRAND, "good"),
                value(REFERENCE_ATTRIBUTE_COLOR, "plum", "a\0b"),
            )
        )
    )
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in error.violations] == [
        "values[1].key",
        "values[2].key",
        "values[4].attribute",
        "values[5].key",
        "values[6].name",
        "values[3].key",
    ]
    assert "'h-m'" in error.violations[0].description
    assert "good" not in await keys(api, REFERENCE_ATTRIBUTE_BRAND)


async def test_operators_mapping_wins_until_it_is_deleted(api: CatalogApi) -> None:
    """An operator's mapping counts before the manifest's, which counts again when it is deleted."""
    await api.register_marketplace()
    await api.sql(
        "INSERT INTO public.marketplace_mappings (marketplace, attribute, key, value, source)"
        " VALUES ('ebay', 'category', 'home', '1', 'manifest'), ('ebay', 'category', 'toys', '2', 'manifest')"
    )
    request = mappings_request(
        [mapping(REFERENCE_ATTRIBUTE_CATEGORY, "home", "7"), mapping(REFERENCE_ATTRIBUTE_COLOR, "navy", "12")]
    )
    response = await api.reference.ImportMappings(request)
    assert (response.created_count, response.changed_count) == (2, 0)
    assert await api.reference.ImportMappings(request) == response
    listed = (await api.reference.ListMappings(rpc.ListMappingsRequest(marketplace="ebay"))).mappings
    assert [(m.key.key, m.value, m.default_value, m.source) for m in listed] == [
        ("home", "7", "1", REFERENCE_SOURCE_OPERATOR),
        ("toys", "2", "2", REFERENCE_SOURCE_DEFAULT),
        ("navy", "12", "", REFERENCE_SOURCE_OPERATOR),
    ]
    tenant_id = await api.new_tenant()
    product_id = UUID((await api.new_product(tenant_id, category="home")).product_id)

    async def category() -> str:
        return (await api.snapshots.load(tenant_id, [product_id], "ebay"))[product_id].message.mappings[
            "category"
        ]

    assert await category() == "7"
    delete = rpc.DeleteMappingsRequest(
        request_id=new_id(), marketplace="ebay", keys=[entry.key for entry in request.mappings]
    )
    assert (await api.reference.DeleteMappings(delete)).deleted_count == 2
    assert (await api.reference.DeleteMappings(delete)).deleted_count == 2
    assert await category() == "1"


async def test_mappings_come_in_pages(api: CatalogApi) -> None:
    """Pages join without a gap, for one attribute or for all."""
    await api.register_marketplace()
    colors = (await keys(api, REFERENCE_ATTRIBUTE_COLOR))[:7]
    entries = [mapping(REFERENCE_ATTRIBUTE_COLOR, key, key.upper()) for key in colors]
    await api.reference.ImportMappings(
        mappings_request([*entries, mapping(REFERENCE_ATTRIBUTE_BRAND, "nike", "1")])
    )
    request = rpc.ListMappingsRequest(marketplace="ebay", attribute=REFERENCE_ATTRIBUTE_COLOR, page_size=3)
    found: list[str] = []
    while True:
        page = await api.reference.ListMappings(request)
        found += [listed.key.key for listed in page.mappings]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert found == sorted(colors)
    everything = await api.reference.ListMappings(rpc.ListMappingsRequest(marketplace="ebay"))
    assert len(everything.mappings) == 8


async def test_every_wrong_mapping_is_named(api: CatalogApi) -> None:
    """Unknown keys and repeated ones are all named; an unknown marketplace is refused."""
    entries = [
        mapping(REFERENCE_ATTRIBUTE_BRAND, "nike", "1"),
        mapping(REFERENCE_ATTRIBUTE_BRAND, "no-such-brand", "2"),
        mapping(REFERENCE_ATTRIBUTE_BRAND, "nike", "3"),
        mapping(REFERENCE_ATTRIBUTE_SIZE, "clothing/women:m", "4"),
        mapping(REFERENCE_ATTRIBUTE_SIZE, "clothing/nobody:m", "5"),
        mapping(REFERENCE_ATTRIBUTE_SIZE, "clothing:enormous", "6"),
        mapping(REFERENCE_ATTRIBUTE_CONDITION, "SHABBY", "7"),
    ]
    error = await refusal(api.reference.ImportMappings(mappings_request(entries)))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "MARKETPLACE_NOT_FOUND")
    await api.register_marketplace()
    error = await refusal(api.reference.ImportMappings(mappings_request(entries)))
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in error.violations] == [
        f"mappings[{index}].key" for index in (1, 2, 4, 5, 6)
    ]
    listed = await api.reference.ListMappings(rpc.ListMappingsRequest(marketplace="ebay"))
    assert list(listed.mappings) == []


async def test_unmapped_values_are_listed(api: CatalogApi) -> None:
    """What a marketplace has no value for is listed, page by page, for that marketplace alone."""
    await api.register_marketplace()
    materials = await keys(api, REFERENCE_ATTRIBUTE_MATERIAL)
    entries = [mapping(REFERENCE_ATTRIBUTE_MATERIAL, key, "1") for key in materials[1:-2]]
    await api.reference.ImportMappings(mappings_request(entries))
    request = rpc.ListUnmappedValuesRequest(
        marketplace="ebay", attribute=REFERENCE_ATTRIBUTE_MATERIAL, page_size=2
    )
    first = await api.reference.ListUnmappedValues(request)
    request.page_token = first.next_page_token
    second = await api.reference.ListUnmappedValues(request)
    assert [found.key for found in (*first.values, *second.values)] == [materials[0], *materials[-2:]]
    assert second.next_page_token == ""
    elsewhere = rpc.ListUnmappedValuesRequest(
        marketplace="etsy", attribute=REFERENCE_ATTRIBUTE_MATERIAL, page_size=1000
    )
    assert len((await api.reference.ListUnmappedValues(elsewhere)).values) == len(materials)


async def test_concurrent_imports_lose_nothing(api: CatalogApi) -> None:
    """Overlapping imports in opposite orders all succeed, and every key has one of the values given for it."""
    await api.register_marketplace()
    colors = (await keys(api, REFERENCE_ATTRIBUTE_COLOR))[:12]
    calls = [
        api.reference.ImportMappings(
            mappings_request(
                mapping(REFERENCE_ATTRIBUTE_COLOR, key, f"{caller}")
                for key in (colors[caller:] if caller % 2 else reversed(colors[: 12 - caller]))
            )
        )
        for caller in range(8)
    ]
    await asyncio.gather(*calls)
    listed = await api.reference.ListMappings(
        rpc.ListMappingsRequest(marketplace="ebay", attribute=REFERENCE_ATTRIBUTE_COLOR)
    )
    assert sorted(found.key.key for found in listed.mappings) == sorted(colors)
    assert {found.value for found in listed.mappings} <= set("01234567")


async def test_snapshot_translates_every_word(api: CatalogApi) -> None:
    """Brand, colours, size and materials are translated by their keys; what has no mapping is absent."""
    await api.register_marketplace()
    await api.reference.ImportMappings(
        mappings_request(
            [
                mapping(REFERENCE_ATTRIBUTE_BRAND, "levis", "53"),
                mapping(REFERENCE_ATTRIBUTE_COLOR, "navy", "27"),
                mapping(REFERENCE_ATTRIBUTE_COLOR, "red", "7"),
                mapping(REFERENCE_ATTRIBUTE_SIZE, "m", "4"),
                mapping(REFERENCE_ATTRIBUTE_SIZE, "clothing/women:m", "208"),
            ]
        )
    )
    tenant_id = await api.new_tenant()
    product = await api.new_product(
        tenant_id,
        brand="LEVI'S",
        condition=CONDITION_GOOD,
        colors=["pale something", "Navy", "red"],
        size="M",
        materials=["Cotton"],
    )
    product_id = UUID(product.product_id)
    snapshot = (await api.snapshots.load(tenant_id, [product_id], "ebay"))[product_id].message
    assert dict(snapshot.mappings) == {"brand": "53", "color": "27", "size": "208"}
    assert {name: list(found.values) for name, found in snapshot.value_lists.items()} == {
        "color": ["27", "7"]
    }
