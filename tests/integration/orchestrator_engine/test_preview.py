"""Previews against real jobs: what is told before is what is sent, and what is refused."""

from __future__ import annotations

import io
import json
import uuid
from typing import Any

import grpc
import httpx
import pytest
from PIL import Image
from stoflow.catalog.v1 import price_pb2, price_service_pb2
from stoflow.catalog.v1.preview_pb2 import PublishPreview
from stoflow.catalog.v1.preview_service_pb2 import PreviewPublishRequest
from stoflow.catalog.v1.product_pb2 import MarketplaceOverride
from stoflow.common.v1.money_pb2 import Money
from stoflow.connector.v1 import manifest_pb2
from stoflow.jobs.v1 import batch_service_pb2

from stoflow_service_kit.grpc_channel import rich_error
from tests.integration.orchestrator_engine.conftest import Shop, options
from tests.integration.orchestrator_engine.connector import step

PRODUCT_SCHEMA = json.dumps(
    {
        "properties": {
            "product": {
                "properties": {
                    "content": {"properties": {"title": {"maxLength": 10}}},
                    "images": {"minItems": 1},
                }
            },
            "mappings": {"required": ["category", "brand"]},
        }
    }
)
OPTIONS_SCHEMA = json.dumps({"properties": {"speed": {"type": "integer"}}, "additionalProperties": False})


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (600, 600), "red").save(file, "PNG")
    return file.getvalue()


def upload() -> manifest_pb2.TaskSpec:
    spec = step("upload")
    spec.for_each = "images"
    return spec


async def open_shop(shop: Shop) -> Any:
    return await shop.open(
        upload(),
        step("list"),
        requires_product=True,
        product_schema=PRODUCT_SCHEMA,
        options_schema=OPTIONS_SCHEMA,
    )


async def preview(shop: Shop, product_id: str, **values: Any) -> PublishPreview:
    request = PreviewPublishRequest(
        **{"tenant_id": shop.tenant_id, "account_id": shop.account_id, "product_id": product_id, **values}
    )
    return (await shop.stubs.previews.PreviewPublish(request)).preview


async def set_rule(shop: Shop, coefficient: str, currency_code: str = "") -> None:
    read = price_service_pb2.GetPriceRuleRequest(tenant_id=shop.tenant_id, account_id=shop.account_id)
    await shop.stubs.prices.SetPriceRule(
        price_service_pb2.SetPriceRuleRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=shop.tenant_id,
            account_id=shop.account_id,
            etag=(await shop.stubs.prices.GetPriceRule(read)).rule.etag,
            rule=price_pb2.PriceRule(coefficient=coefficient, currency_code=currency_code),
        )
    )


async def map_words(shop: Shop, *words: tuple[str, str, str]) -> None:
    for attribute, key, value in words:
        await shop.query(
            "INSERT INTO public.marketplace_mappings (marketplace, attribute, key, value, source)"
            " VALUES (%s, %s, %s, %s, 'operator') RETURNING 1",
            *(shop.marketplace, attribute, key, value),
        )


async def test_preview_tells_what_the_task_gets(shop: Shop) -> None:
    """Override, price rule, mappings and images are as the connector receives them afterwards."""
    connector = await open_shop(shop)
    await set_rule(shop, "1.5")
    await map_words(shop, ("category", "clothing/women/dresses", "63861"), ("brand", "levis", "53"))
    product_id = await shop.stubs.create_product(
        shop.tenant_id,
        (picture(),),
        brand="Levi's",
        size="M",
        overrides=[MarketplaceOverride(marketplace=shop.marketplace, title="Short")],
    )
    told = await preview(shop, product_id)
    assert list(told.violations) == []
    assert (told.marketplace, told.action, told.manifest_version) == (shop.marketplace, "publish", "1")
    assert list(told.steps) == ["upload", "list"]
    assert told.product.content.title == "Short"
    assert told.product.content.price == Money(currency_code="USD", amount_minor=5850)
    assert (told.price.base.amount_minor, told.price.source) == (3900, price_pb2.PRICE_SOURCE_RULE)
    assert dict(told.mappings) == {"category": "63861", "brand": "53"}
    assert [(word.word, word.value) for word in told.words] == [
        ("clothing/women/dresses", "63861"),
        ("VERY_GOOD", ""),
        ("Levi's", "53"),
        ("M", ""),
    ]
    async with httpx.AsyncClient() as client:
        assert (await client.get(told.product.images[0].url)).status_code == 200
    assert await shop.query("SELECT 1 FROM public.live_jobs WHERE tenant_id = %s", shop.tenant_id) == []

    await shop.create_job(product_id)
    _, granted = await connector.receive_and_start()
    sent = granted.assignment.product
    assert dict(sent.mappings) == dict(told.mappings)
    for product in (sent.product, told.product):
        for image in product.images:
            image.url = ""
    assert sent.product == told.product


async def test_preview_names_everything_at_once(shop: Shop) -> None:
    """Wrong options, title, price, missing pictures and unmapped words are told together; a job is refused so too."""
    await open_shop(shop)
    await set_rule(shop, "1.5", "EUR")
    product_id = await shop.stubs.create_product(shop.tenant_id, title="Much too long", brand="Levi's")
    told = await preview(shop, product_id, options=options(speed="fast"))
    assert [(v.field, v.code) for v in told.violations] == [
        ("options.speed", "type"),
        ("product.mappings.brand", "unmapped"),
        ("product.mappings.category", "unmapped"),
        ("product.product.content.title", "maxLength"),
        ("product.product.images", "minItems"),
        ("product.product.content.price", ""),
    ]
    assert (told.price.problem != "", told.price.HasField("price")) == (True, False)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shop.create_job(product_id)
    error = rich_error(caught.value)
    assert error.reason == "PRODUCT_REFUSED"
    assert [v.field for v in error.violations] == [v.field for v in told.violations][1:]


async def test_price_override_wins_over_the_rule(shop: Shop) -> None:
    """A job's product has the override's price, to which no rule is applied, even one in another currency."""
    connector = await shop.open(step("only"), requires_product=True)
    await set_rule(shop, "1.5", "EUR")
    price = Money(currency_code="USD", amount_minor=777)
    product_id = await shop.stubs.create_product(
        shop.tenant_id, overrides=[MarketplaceOverride(marketplace=shop.marketplace, price=price)]
    )
    told = await preview(shop, product_id)
    assert (told.price.source, told.product.content.price) == (price_pb2.PRICE_SOURCE_OVERRIDE, price)
    await shop.create_job(product_id)
    _, granted = await connector.receive_and_start()
    assert granted.assignment.product.product.content.price == price


async def test_previews_belong_to_their_tenant(shop: Shop, orchestrator: Any) -> None:
    """Neither another tenant's product nor its account can be looked at."""
    await open_shop(shop)
    product_id = await shop.stubs.create_product(shop.tenant_id)
    other = Shop(orchestrator, shop.stubs)
    shop.connectors.append(await other.open(step("only")))
    foreign = await shop.stubs.create_product(other.tenant_id)
    for product, account, reason in (
        (foreign, shop.account_id, "PRODUCT_NOT_FOUND"),
        (product_id, other.account_id, "ACCOUNT_NOT_FOUND"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await preview(shop, product, account_id=account)
        assert rich_error(caught.value).reason == reason


async def test_batch_carries_the_rules_prices(shop: Shop) -> None:
    """Every job of a batch has its product's price after the rule; a price that it cannot make refuses the batch."""
    connector = await shop.open(step("only"), requires_product=True)
    await set_rule(shop, "1.5", "USD")
    amounts = {
        await shop.stubs.create_product(
            shop.tenant_id, price=Money(currency_code="USD", amount_minor=amount)
        ): amount
        for amount in (1000, 2001)
    }
    euros = await shop.stubs.create_product(
        shop.tenant_id, price=Money(currency_code="EUR", amount_minor=1000)
    )

    def batch(*product_ids: str) -> batch_service_pb2.CreateBatchRequest:
        return batch_service_pb2.CreateBatchRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=shop.tenant_id,
            account_id=shop.account_id,
            product_ids=product_ids,
            action="publish",
        )

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shop.stubs.batches.CreateBatch(batch(*amounts, euros))
    fields = [violation.field for violation in rich_error(caught.value).violations]
    assert fields == ["product_ids[2].product.content.price"]
    await shop.stubs.batches.CreateBatch(batch(*amounts))
    sent: dict[str, int] = {}
    for _ in amounts:
        _, granted = await connector.receive_and_start()
        product = granted.assignment.product.product
        sent[product.product_id] = product.content.price.amount_minor
    assert sent == {product_id: -(-amount * 3 // 2) for product_id, amount in amounts.items()}
