"""Products: creation, idempotency, isolation, paging."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from stoflow.catalog.v1.product_pb2 import (
    CONDITION_GOOD,
    AttributeValues,
    MarketplaceOverride,
    ProductContent,
)
from stoflow.catalog.v1.product_service_pb2 import (
    CreateProductRequest,
    GetProductRequest,
    ListProductsRequest,
)
from stoflow.common.v1.money_pb2 import Money

from tests.integration.orchestrator_catalog.catalog_api import CatalogApi, content, new_id, refusal


def creation(tenant_id: int, product: ProductContent, request_id: str = "") -> CreateProductRequest:
    return CreateProductRequest(request_id=request_id or new_id(), tenant_id=tenant_id, content=product)


async def test_product_is_stored_as_sent(api: CatalogApi) -> None:
    """Every field of a product comes back as it was sent, overrides ordered by marketplace."""
    tenant_id = await api.new_tenant()
    sent = content(
        brand="Sézane",
        title='Robe "été" 🌞 \\ %s :name',
        condition=CONDITION_GOOD,
        attributes={"Size": AttributeValues(values=["M", "38"]), "Colour": AttributeValues(values=["Écru"])},
        overrides=[
            MarketplaceOverride(
                marketplace="ebay", title="Linen dress M", price=Money(currency_code="EUR", amount_minor=4500)
            ),
            MarketplaceOverride(marketplace="etsy", description="", category_id="123"),
        ],
    )
    product = (await api.products.CreateProduct(creation(tenant_id, sent))).product
    assert product.content == sent
    assert (product.tenant_id, product.version, len(product.images)) == (tenant_id, 1, 0)
    assert product.create_time == product.update_time
    request = GetProductRequest(tenant_id=tenant_id, product_id=product.product_id)
    assert (await api.products.GetProduct(request)).product == product


async def test_repeated_request_returns_first_product(api: CatalogApi) -> None:
    """Ten concurrent calls with one request_id and one body return the one product that they made."""
    tenant_id = await api.new_tenant()
    request = creation(tenant_id, content())
    answers = await asyncio.gather(*(api.products.CreateProduct(request) for _ in range(10)))
    assert len({answer.product.product_id for answer in answers}) == 1
    listed = await api.products.ListProducts(ListProductsRequest(tenant_id=tenant_id))
    assert len(listed.products) == 1


async def test_repeated_request_is_not_checked_again(api: CatalogApi) -> None:
    """A repeated request gets its first answer although its category has been removed since."""
    tenant_id = await api.new_tenant()
    request = creation(tenant_id, content())
    first = await api.products.CreateProduct(request)
    await api.sql("DELETE FROM public.reference_values")
    assert await api.products.CreateProduct(request) == first


async def test_reused_request_id_is_refused(api: CatalogApi) -> None:
    """A request_id used with another body is REQUEST_ID_REUSED; another tenant may use the same id."""
    tenant_id, other = await api.new_tenant(), await api.new_tenant()
    request = creation(tenant_id, content())
    await api.products.CreateProduct(request)
    error = await refusal(api.products.CreateProduct(creation(tenant_id, content(), request.request_id)))
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    await api.products.CreateProduct(creation(other, content(), request.request_id))


async def test_taken_sku_is_refused_within_the_tenant_only(api: CatalogApi) -> None:
    """A second product with a SKU is SKU_EXISTS, also among concurrent ones; another tenant may have it."""
    tenant_id, other = await api.new_tenant(), await api.new_tenant()
    calls = [api.products.CreateProduct(creation(tenant_id, content(sku="DRESS1"))) for _ in range(5)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    error = await refusal(api.products.CreateProduct(creation(tenant_id, content(sku="DRESS1"))))
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SKU_EXISTS")
    await api.new_product(other, sku="DRESS1")


async def test_refused_request_leaves_its_request_id_free(api: CatalogApi) -> None:
    """A refused creation stores nothing, so its request_id serves the corrected one."""
    tenant_id = await api.new_tenant()
    request_id = new_id()
    await refusal(api.products.CreateProduct(creation(tenant_id, content(category="moon"), request_id)))
    assert (await api.products.CreateProduct(creation(tenant_id, content(), request_id))).product.version == 1


async def test_every_violation_is_listed_at_once(api: CatalogApi) -> None:
    """Unknown category, unknown currencies and unstorable texts are all named in one answer."""
    tenant_id = await api.new_tenant()
    wrong = content(
        category="clothing/moon",
        title="a\0b",
        price=Money(currency_code="XYZ", amount_minor=1),
        attributes={"Size": AttributeValues(values=["M\0"])},
        overrides=[
            MarketplaceOverride(marketplace="ebay", price=Money(currency_code="ABC", amount_minor=1)),
            MarketplaceOverride(marketplace="etsy", price=Money(currency_code="EUR", amount_minor=1)),
        ],
    )
    error = await refusal(api.products.CreateProduct(creation(tenant_id, wrong)))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    violations = {violation.field: violation.description for violation in error.violations}
    assert set(violations) == {
        "content.category",
        "content.title",
        "content.price.currency_code",
        'content.attributes["Size"].values[0]',
        "content.overrides[0].price.currency_code",
    }
    assert "clothing/women/dresses" in violations["content.category"]


async def test_contract_rules_are_listed_at_once(api: CatalogApi) -> None:
    """Fields that break the contract's own rules are all named, a marketplace given twice among them."""
    tenant_id = await api.new_tenant()
    twice = [MarketplaceOverride(marketplace="ebay"), MarketplaceOverride(marketplace="ebay")]
    wrong = content(sku="", stock_quantity=-1, condition=0, overrides=twice)
    error = await refusal(api.products.CreateProduct(creation(tenant_id, wrong)))
    fields = {violation.field for violation in error.violations}
    assert fields == {"content.sku", "content.stock_quantity", "content.condition", "content.overrides"}


async def test_tenants_do_not_see_each_other(api: CatalogApi) -> None:
    """Another tenant's product is PRODUCT_NOT_FOUND and not listed; an unknown tenant is TENANT_NOT_FOUND."""
    owner, other = await api.new_tenant(), await api.new_tenant()
    product = await api.new_product(owner)
    error = await refusal(
        api.products.GetProduct(GetProductRequest(tenant_id=other, product_id=product.product_id))
    )
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "PRODUCT_NOT_FOUND")
    assert not (await api.products.ListProducts(ListProductsRequest(tenant_id=other))).products
    for call in (
        api.products.GetProduct(GetProductRequest(tenant_id=999, product_id=product.product_id)),
        api.products.ListProducts(ListProductsRequest(tenant_id=999)),
        api.products.CreateProduct(creation(999, content())),
    ):
        error = await refusal(call)
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "TENANT_NOT_FOUND")


async def test_products_are_listed_newest_first_page_by_page(api: CatalogApi) -> None:
    """Pages hold every product once, newest first, also when products are added in between."""
    tenant_id = await api.new_tenant()
    made = [(await api.new_product(tenant_id)).product_id for _ in range(5)]
    seen: list[str] = []
    token = ""
    while True:
        request = ListProductsRequest(tenant_id=tenant_id, page_size=2, page_token=token)
        page = await api.products.ListProducts(request)
        seen += [product.product_id for product in page.products]
        await api.new_product(tenant_id)
        if not (token := page.next_page_token):
            break
    assert seen == made[::-1]


async def test_large_products_make_short_pages(api: CatalogApi) -> None:
    """Products that would not fit into one message come on several pages, none lost, whatever page_size says."""
    tenant_id = await api.new_tenant()
    long = "\U0001f600" * 50_000
    overrides = [MarketplaceOverride(marketplace=f"m{number}", description=long) for number in range(9)]
    made = [
        (await api.new_product(tenant_id, description=long, overrides=overrides)).product_id for _ in range(5)
    ]
    seen: list[list[str]] = []
    token = ""
    while not seen or token:
        request = ListProductsRequest(tenant_id=tenant_id, page_size=1000, page_token=token)
        page = await api.products.ListProducts(request)
        seen.append([product.product_id for product in page.products])
        token = page.next_page_token
    assert [product_id for page in seen for product_id in page] == made[::-1]
    assert [len(page) for page in seen] == [2, 2, 1]


async def test_products_are_found_by_sku(api: CatalogApi) -> None:
    """The SKU filter returns that product alone, and nothing for a SKU that nobody has."""
    tenant_id = await api.new_tenant()
    await api.new_product(tenant_id)
    product = await api.new_product(tenant_id, sku="DRESS1")
    found = await api.products.ListProducts(ListProductsRequest(tenant_id=tenant_id, sku="DRESS1"))
    assert [entry.product_id for entry in found.products] == [product.product_id]
    assert not (await api.products.ListProducts(ListProductsRequest(tenant_id=tenant_id, sku="no"))).products
    error = await refusal(api.products.ListProducts(ListProductsRequest(tenant_id=tenant_id, sku="\0")))
    assert error.reason == "INVALID_ARGUMENT"


async def test_filters_choose_products(api: CatalogApi) -> None:
    """Each filter lists exactly the products that match it, texts in any case and without wildcards."""
    tenant_id = await api.new_tenant()
    dress = await api.new_product(tenant_id, sku="D-1", title="Linen DRESS 100%", brand="Zoë")
    shirt = await api.new_product(
        tenant_id, sku="S_1", title="Shirt", category="clothing/men/shirts", stock_quantity=0, condition=1
    )
    shoes = await api.new_product(
        tenant_id, sku="X", title="Shoes", category="shoes/men/sneakers", brand="ZOË"
    )

    async def listed(**filters: Any) -> list[str]:
        answer = await api.products.ListProducts(ListProductsRequest(tenant_id=tenant_id, **filters))
        return [product.product_id for product in answer.products]

    ids = [product.product_id for product in (dress, shirt, shoes)]
    assert await listed(text="dress") == [ids[0]]
    assert await listed(text="s_1") == [ids[1]]
    assert await listed(text="%") == [ids[0]]
    assert await listed(category="clothing") == [ids[1], ids[0]]
    assert await listed(category="clothing/men/shirts") == [ids[1]]
    assert await listed(category="clothing/m") == []
    assert await listed(brand="zoë") == [ids[2], ids[0]]
    assert await listed(condition=1) == [ids[1]]
    assert await listed(is_in_stock=True) == [ids[2], ids[0]]
    assert await listed(is_in_stock=False) == [ids[1]]
    assert await listed(update_time_from=shirt.update_time) == [ids[2], ids[1]]
    assert await listed(product_ids=[ids[2], ids[0], new_id()]) == [ids[2], ids[0]]
    assert await listed(brand="zoë", category="shoes") == [ids[2]]
    error = await refusal(listed(update_time_from={"seconds": 2**40}))
    assert [violation.field for violation in error.violations] == ["update_time_from"]


async def test_page_token_of_another_query_is_refused(api: CatalogApi) -> None:
    """A token serves only the tenant and filter that it was issued for."""
    tenant_id, other = await api.new_tenant(), await api.new_tenant()
    for _ in range(2):
        await api.new_product(tenant_id)
    page = await api.products.ListProducts(ListProductsRequest(tenant_id=tenant_id, page_size=1))
    assert page.next_page_token
    for request in (
        ListProductsRequest(tenant_id=other, page_token=page.next_page_token),
        ListProductsRequest(tenant_id=tenant_id, sku="A", page_token=page.next_page_token),
        ListProductsRequest(tenant_id=tenant_id, page_token="AAAA"),
        ListProductsRequest(tenant_id=tenant_id, page_token="€"),
    ):
        error = await refusal(api.products.ListProducts(request))
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
