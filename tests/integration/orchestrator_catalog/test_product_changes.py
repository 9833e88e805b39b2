"""Changing and deleting products: nothing that a caller has not seen is overwritten."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from stoflow.catalog.v1.product_pb2 import (
    GENDER_WOMEN,
    WHO_MADE_SOMEONE_ELSE,
    AttributeValues,
    MarketplaceOverride,
    Origin,
    PackageSize,
    Product,
    ProductContent,
)
from stoflow.catalog.v1.product_service_pb2 import (
    ArrangeProductImagesRequest,
    DeleteProductRequest,
    GetProductRequest,
    UpdateProductRequest,
)
from stoflow.common.v1.money_pb2 import Money

from tests.integration.orchestrator_catalog.catalog_api import CatalogApi, content, new_id, picture, refusal


def change(product: Product, fields: ProductContent, *paths: str, **changes: Any) -> UpdateProductRequest:
    values: dict[str, Any] = {
        "request_id": new_id(),
        "tenant_id": product.tenant_id,
        "product_id": product.product_id,
        "etag": product.etag,
        "content": fields,
        "update_mask": FieldMask(paths=paths),
    }
    return UpdateProductRequest(**{**values, **changes})


def removal(product: Product, **changes: Any) -> DeleteProductRequest:
    values: dict[str, Any] = {
        "request_id": new_id(),
        "tenant_id": product.tenant_id,
        "product_id": product.product_id,
        "etag": product.etag,
    }
    return DeleteProductRequest(**{**values, **changes})


def arrangement(product: Product, image_ids: list[str], **changes: Any) -> ArrangeProductImagesRequest:
    values: dict[str, Any] = {
        "request_id": new_id(),
        "tenant_id": product.tenant_id,
        "product_id": product.product_id,
        "etag": product.etag,
        "image_ids": image_ids,
    }
    return ArrangeProductImagesRequest(**{**values, **changes})


async def stored(api: CatalogApi, product: Product) -> Product:
    request = GetProductRequest(tenant_id=product.tenant_id, product_id=product.product_id)
    return (await api.products.GetProduct(request)).product


async def test_everything_said_of_a_product_is_kept(api: CatalogApi) -> None:
    """Each field that a marketplace asks for comes back as it was sent."""
    tenant_id = await api.new_tenant()
    details = {
        "colors": ["blue", "white"],
        "size": "M",
        "materials": ["linen"],
        "gender": GENDER_WOMEN,
        "measurements_mm": {"chest": 480, "length": 710},
        "weight_grams": 400,
        "package_size": PackageSize(length_mm=300, width_mm=200, height_mm=50),
        "origin": Origin(who_made=WHO_MADE_SOMEONE_ELSE, made_from_year=1990, made_to_year=1999),
        "attributes": {"Style": AttributeValues(values=["Boho"])},
        "overrides": [MarketplaceOverride(marketplace="ebay", title="Short")],
    }
    product = await api.new_product(tenant_id, sku="DRESS1", **details)
    assert product.content == content(sku="DRESS1", **details)
    assert await stored(api, product) == product


async def test_only_masked_fields_change(api: CatalogApi) -> None:
    """Fields that the mask names take the new value, an empty one too; all others stay."""
    tenant_id = await api.new_tenant()
    product = await api.new_product(tenant_id, colors=["red"], size="M", measurements_mm={"chest": 480})
    fields = ProductContent(title="Silk dress", description="Ignored.", stock_quantity=3)
    paths = ("title", "stock_quantity", "colors", "measurements_mm")
    changed = (await api.products.UpdateProduct(change(product, fields, *paths))).product
    wanted = ProductContent()
    wanted.CopyFrom(product.content)
    wanted.title, wanted.stock_quantity = "Silk dress", 3
    wanted.ClearField("colors")
    wanted.ClearField("measurements_mm")
    assert changed.content == wanted
    assert (changed.version, changed.etag == product.etag) == (2, False)
    assert changed.update_time.ToNanoseconds() > product.update_time.ToNanoseconds()
    assert await stored(api, product) == changed


@pytest.mark.parametrize("paths", [(), ("*",)])
async def test_empty_mask_replaces_everything(api: CatalogApi, paths: tuple[str, ...]) -> None:
    """Without a mask the content is replaced whole."""
    tenant_id = await api.new_tenant()
    product = await api.new_product(tenant_id, brand="Boss", weight_grams=5)
    wanted = content(sku="OTHER")
    changed = (await api.products.UpdateProduct(change(product, wanted, *paths))).product
    assert changed.content == wanted


async def test_concurrent_editors_lose_nothing(api: CatalogApi) -> None:
    """Of callers who change what they all read at one state, one wins and the others are told; after
    reading again each one's change is there.
    """
    tenant_id = await api.new_tenant()
    product = await api.new_product(tenant_id)

    async def edit(name: str) -> int:
        tries = 0
        current = product
        while True:
            tries += 1
            fields = ProductContent(attributes=current.content.attributes)
            fields.attributes[name].values.append("yes")
            call = api.products.UpdateProduct(change(current, fields, "attributes"))
            if await call.code() == grpc.StatusCode.OK:
                return tries
            assert await call.code() == grpc.StatusCode.ABORTED
            current = await stored(api, product)

    names = [f"editor{number}" for number in range(6)]
    tries = await asyncio.gather(*(edit(name) for name in names))
    final = await stored(api, product)
    assert sorted(final.content.attributes) == names
    assert final.version == 7
    # All six read the same state first, so at least five were refused at least once.
    assert sum(tries) >= 11


async def test_refused_etag_names_the_current_one(api: CatalogApi) -> None:
    """A change on an old state is ETAG_MISMATCH, names the etag that holds now and stores nothing."""
    tenant_id = await api.new_tenant()
    product = await api.new_product(tenant_id)
    newer = await api.add_image(tenant_id, product.product_id, picture())
    calls = (
        api.products.UpdateProduct(change(product, ProductContent(title="Lost"), "title")),
        api.products.DeleteProduct(removal(product)),
        api.products.ArrangeProductImages(arrangement(product, [])),
    )
    for call in calls:
        error = await refusal(call)
        assert (error.code, error.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
        assert error.metadata["etag"] == newer.etag
    assert await stored(api, product) == newer


async def test_change_without_difference_keeps_the_version(api: CatalogApi) -> None:
    """Sending what is stored already changes neither version nor time."""
    tenant_id = await api.new_tenant()
    product = await api.new_product(
        tenant_id, origin=Origin(), overrides=[MarketplaceOverride(marketplace="a")]
    )
    assert (await api.products.UpdateProduct(change(product, product.content))).product == product


async def test_result_of_a_change_is_judged_whole(api: CatalogApi) -> None:
    """Every rule holds for what would result: the contract's, currencies, categories and storable texts."""
    tenant_id = await api.new_tenant()
    product = await api.new_product(tenant_id)
    wrong = ProductContent(
        title="", category="moon", brand="a\0", price=Money(currency_code="XYZ"), size="9" * 101
    )
    paths = ("title", "category", "brand", "price", "size", "sku")
    error = await refusal(api.products.UpdateProduct(change(product, wrong, *paths)))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert {violation.field for violation in error.violations} == {
        "content.title",
        "content.category",
        "content.brand",
        "content.price.currency_code",
        "content.size",
        "content.sku",
    }
    error = await refusal(
        api.products.UpdateProduct(change(product, wrong, "title", "price.currency_code", "x"))
    )
    assert [violation.field for violation in error.violations] == [
        "update_mask.paths[1]",
        "update_mask.paths[2]",
    ]
    assert await stored(api, product) == product


async def test_years_of_origin_are_in_order(api: CatalogApi) -> None:
    """An origin whose years contradict each other is refused."""
    tenant_id = await api.new_tenant()
    for origin in (
        Origin(made_from_year=2000, made_to_year=1990),
        Origin(made_from_year=2000),
        Origin(is_made_to_order=True, made_from_year=2000, made_to_year=2000),
    ):
        with pytest.raises(grpc.aio.AioRpcError, match="INVALID_ARGUMENT"):
            await api.new_product(tenant_id, origin=origin)


async def test_change_to_a_taken_sku_is_refused(api: CatalogApi) -> None:
    """A SKU of another product is SKU_EXISTS, the product's own is not."""
    tenant_id = await api.new_tenant()
    await api.new_product(tenant_id, sku="TAKEN")
    product = await api.new_product(tenant_id, sku="MINE")
    error = await refusal(api.products.UpdateProduct(change(product, ProductContent(sku="TAKEN"), "sku")))
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SKU_EXISTS")
    fields = ProductContent(sku="MINE", title="Silk")
    assert (await api.products.UpdateProduct(change(product, fields, "sku", "title"))).product.version == 2


async def test_repeated_change_happens_once(api: CatalogApi) -> None:
    """A repeat of a change or deletion is answered and does nothing; another body under its id is refused."""
    tenant_id = await api.new_tenant()
    product = await api.new_product(tenant_id)
    request = change(product, ProductContent(title="Silk"), "title")
    first = (await api.products.UpdateProduct(request)).product
    assert (await api.products.UpdateProduct(request)).product == first
    again = change(first, ProductContent(title="Wool"), "title", request_id=request.request_id)
    assert (await refusal(api.products.UpdateProduct(again))).reason == "REQUEST_ID_REUSED"
    deletion = removal(first)
    await api.products.DeleteProduct(deletion)
    await api.products.DeleteProduct(deletion)
    error = await refusal(
        api.products.GetProduct(GetProductRequest(tenant_id=tenant_id, product_id=first.product_id))
    )
    assert error.reason == "PRODUCT_NOT_FOUND"


async def test_product_in_use_is_not_deleted(api: CatalogApi) -> None:
    """A product with a live or draft listing or a running job stays, with every reason; force removes it."""
    tenant_id = await api.new_tenant()
    product = await api.add_image(tenant_id, (await api.new_product(tenant_id)).product_id, picture())
    await api.sql(
        f"INSERT INTO user_{tenant_id}.listings (listing_id, marketplace, account_id, product_id, site, remote_id,"
        " url, state, product_version) VALUES (gen_random_uuid(), 'ebay', gen_random_uuid(), :product_id, 'EBAY_US',"
        " '1', '', 'LIVE', 1)",
        product_id=UUID(product.product_id),
    )
    await api.sql(
        "INSERT INTO public.live_jobs (job_id, tenant_id, marketplace, account_id, product_id, site, action,"
        " manifest_version, assignment, priority, max_retries, state, run, task_position, event_sequence, next_time,"
        " expire_time, create_time) VALUES (gen_random_uuid(), :tenant_id, 'ebay', gen_random_uuid(), :product_id,"
        " '', 'publish', '1', '', 3, 3, 'PENDING', 1, 0, 0, now(), now(), now())",
        tenant_id=tenant_id,
        product_id=UUID(product.product_id),
    )
    error = await refusal(api.products.DeleteProduct(removal(product)))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PRODUCT_IN_USE")
    assert "listed" in error.message
    assert "job" in error.message
    await api.products.DeleteProduct(removal(product, force=True))
    assert await api.sql(f"SELECT * FROM user_{tenant_id}.product_images") == []
    await api.new_product(tenant_id, sku=product.content.sku)


async def test_images_are_arranged(api: CatalogApi) -> None:
    """Images take the new order, those not named go, and the next picture comes behind; the same order is no change."""
    tenant_id = await api.new_tenant()
    product = await api.new_product(tenant_id)
    for shade in (10, 60, 120, 200):
        product = await api.add_image(tenant_id, product.product_id, picture(color=(shade, 0, 0)))
    first, second, third, fourth = (image.image_id for image in product.images)
    wanted = [fourth, first, third]
    arranged = (await api.products.ArrangeProductImages(arrangement(product, wanted))).product
    assert [image.image_id for image in arranged.images] == wanted
    assert arranged.version == 6
    assert (await api.products.ArrangeProductImages(arrangement(arranged, wanted))).product == arranged
    error = await refusal(api.products.ArrangeProductImages(arrangement(arranged, [first, second, new_id()])))
    assert [violation.field for violation in error.violations] == ["image_ids[1]", "image_ids[2]"]
    twice = [first, first.upper()]
    error = await refusal(api.products.ArrangeProductImages(arrangement(arranged, twice)))
    assert [violation.field for violation in error.violations] == ["image_ids"]
    grown = await api.add_image(tenant_id, product.product_id, picture(color=(0, 9, 0)))
    assert [image.image_id for image in grown.images][:3] == wanted
    assert not (await api.products.ArrangeProductImages(arrangement(grown, []))).product.images


async def test_other_tenants_cannot_change_a_product(api: CatalogApi) -> None:
    """For another tenant the product is PRODUCT_NOT_FOUND in every changing call, and stays as it is."""
    owner, other = await api.new_tenant(), await api.new_tenant()
    product = await api.new_product(owner)
    for tenant_id, reason in ((other, "PRODUCT_NOT_FOUND"), (999, "TENANT_NOT_FOUND")):
        for call in (
            api.products.UpdateProduct(change(product, content(), tenant_id=tenant_id)),
            api.products.DeleteProduct(removal(product, tenant_id=tenant_id)),
            api.products.DeleteProduct(removal(product, tenant_id=tenant_id, etag="", force=True)),
            api.products.ArrangeProductImages(arrangement(product, [], tenant_id=tenant_id)),
        ):
            error = await refusal(call)
            assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, reason)
    assert await stored(api, product) == product
