"""PriceService: rules of accounts, and what they make of prices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from stoflow.catalog.v1 import price_pb2
from stoflow.catalog.v1 import price_service_pb2 as rpc
from stoflow.catalog.v1.product_pb2 import MarketplaceOverride
from stoflow.common.v1.money_pb2 import Money

from stoflow_orchestrator.pricing import PriceRule
from tests.integration.orchestrator_catalog.catalog_api import CatalogApi, new_id, refusal

RULE = price_pb2.PriceRule(
    coefficient="1.15",
    currency_code="EUR",
    fee_minor=50,
    minimum_minor=500,
    rounding=price_pb2.PriceRounding(mode=price_pb2.ROUNDING_MODE_UP, step_minor=100, ending_minor=99),
)


def eur(amount: int) -> Money:
    return Money(currency_code="EUR", amount_minor=amount)


@pytest.fixture
async def account(api: CatalogApi) -> tuple[int, str]:
    """A tenant and its account."""
    await api.register_marketplace()
    tenant_id = await api.new_tenant()
    return tenant_id, (await api.new_account(tenant_id)).account_id


def set_request(
    tenant_id: int, account_id: str, etag: str = "v0", rule: price_pb2.PriceRule | None = RULE
) -> rpc.SetPriceRuleRequest:
    return rpc.SetPriceRuleRequest(
        request_id=new_id(), tenant_id=tenant_id, account_id=account_id, etag=etag, rule=rule
    )


async def test_rule_is_set_read_and_removed(api: CatalogApi, account: tuple[int, str]) -> None:
    """An account begins without a rule; a rule is kept as written, and taken away again."""
    tenant_id, account_id = account
    read = rpc.GetPriceRuleRequest(tenant_id=tenant_id, account_id=account_id)
    empty = (await api.prices.GetPriceRule(read)).rule
    assert (empty.HasField("rule"), empty.etag, empty.HasField("update_time")) == (False, "v0", False)
    request = set_request(tenant_id, account_id)
    stored = (await api.prices.SetPriceRule(request)).rule
    assert (stored.rule, stored.etag, stored.account_id) == (RULE, "v1", account_id)
    assert (await api.prices.SetPriceRule(request)).rule == stored
    assert (await api.prices.GetPriceRule(read)).rule == stored
    removed = (await api.prices.SetPriceRule(set_request(tenant_id, account_id, "v1", None))).rule
    assert (removed.HasField("rule"), removed.etag) == (False, "v2")


async def test_change_of_a_stale_rule_is_refused(api: CatalogApi, account: tuple[int, str]) -> None:
    """Of callers who read the same rule one wins; the others are told and change nothing."""
    tenant_id, account_id = account
    requests = [
        set_request(tenant_id, account_id, rule=price_pb2.PriceRule(coefficient=f"1.{number}"))
        for number in range(8)
    ]
    answers = await asyncio.gather(
        *(api.prices.SetPriceRule(request) for request in requests), return_exceptions=True
    )
    won = [answer for answer in answers if isinstance(answer, rpc.SetPriceRuleResponse)]
    (winner,) = won
    error = await refusal(api.prices.SetPriceRule(requests[0] if answers[0] not in won else requests[1]))
    assert (error.code, error.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    read = rpc.GetPriceRuleRequest(tenant_id=tenant_id, account_id=account_id)
    assert (await api.prices.GetPriceRule(read)).rule == winner.rule
    for etag in ("v01", "1", "v\u0661", "nonsense"):
        error = await refusal(api.prices.SetPriceRule(set_request(tenant_id, account_id, etag)))
        assert error.reason == "ETAG_MISMATCH"


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        (price_pb2.PriceRule(coefficient="0.000"), ["rule.coefficient"]),
        (price_pb2.PriceRule(coefficient="-1"), ["rule.coefficient", "rule.coefficient"]),
        (price_pb2.PriceRule(coefficient="1.0000001"), ["rule.coefficient"]),
        (price_pb2.PriceRule(coefficient="1", fee_minor=1), ["rule"]),
        (price_pb2.PriceRule(coefficient="1", currency_code="ABC"), ["rule.currency_code"]),
        (
            price_pb2.PriceRule(
                coefficient="1",
                currency_code="EUR",
                rounding=price_pb2.PriceRounding(
                    mode=price_pb2.ROUNDING_MODE_UP, step_minor=100, ending_minor=100
                ),
            ),
            ["rule.rounding"],
        ),
        (
            price_pb2.PriceRule(coefficient="x", rounding=price_pb2.PriceRounding()),
            ["rule", "rule.coefficient", "rule.coefficient", "rule.rounding", "rule.rounding.mode",
             "rule.rounding.step_minor"],
        ),
    ],
)  # fmt: skip
async def test_wrong_rules_are_refused(
    api: CatalogApi, account: tuple[int, str], rule: price_pb2.PriceRule, fields: list[str]
) -> None:
    """All that is wrong with a rule is named, and the rule stays as it was."""
    tenant_id, account_id = account
    error = await refusal(api.prices.SetPriceRule(set_request(tenant_id, account_id, rule=rule)))
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT
    assert sorted({violation.field for violation in error.violations}) == sorted(set(fields))
    preview = rpc.PreviewPricesRequest(tenant_id=tenant_id, account_id=account_id, rule=rule)
    assert (await refusal(api.prices.PreviewPrices(preview))).code == grpc.StatusCode.INVALID_ARGUMENT
    read = rpc.GetPriceRuleRequest(tenant_id=tenant_id, account_id=account_id)
    assert (await api.prices.GetPriceRule(read)).rule.etag == "v0"


async def test_preview_tells_what_a_rule_makes(api: CatalogApi, account: tuple[int, str]) -> None:
    """Prices and products are calculated in order, by the account's rule or the one to try; an override wins."""
    tenant_id, account_id = account
    plain = await api.new_product(tenant_id, price=eur(1000))
    overridden = await api.new_product(
        tenant_id, price=eur(1000), overrides=[MarketplaceOverride(marketplace="ebay", price=eur(777))]
    )
    elsewhere = await api.new_product(
        tenant_id, price=eur(1000), overrides=[MarketplaceOverride(marketplace="etsy", price=eur(777))]
    )
    request = rpc.PreviewPricesRequest(
        tenant_id=tenant_id,
        account_id=account_id,
        prices=[eur(1999), Money(currency_code="USD", amount_minor=1999)],
        product_ids=[overridden.product_id, plain.product_id, elsewhere.product_id],
    )

    async def preview() -> list[tuple[int, int, str, bool]]:
        response = await api.prices.PreviewPrices(request)
        return [
            (
                c.base.amount_minor,
                c.price.amount_minor,
                price_pb2.PriceSource.Name(c.source)[13:],
                bool(c.problem),
            )
            for c in response.calculations
        ]

    assert await preview() == [
        (1999, 1999, "PRODUCT", False),
        (1999, 1999, "PRODUCT", False),
        (777, 777, "OVERRIDE", False),
        (1000, 1000, "PRODUCT", False),
        (1000, 1000, "PRODUCT", False),
    ]
    await api.prices.SetPriceRule(set_request(tenant_id, account_id))
    assert await preview() == [
        (1999, 2399, "RULE", False),
        (1999, 0, "RULE", True),
        (777, 777, "OVERRIDE", False),
        (1000, 1299, "RULE", False),
        (1000, 1299, "RULE", False),
    ]
    request.rule.coefficient = "2"
    assert [calculation[1] for calculation in await preview()] == [3998, 3998, 777, 2000, 2000]
    ids = [c.product_id for c in (await api.prices.PreviewPrices(request)).calculations]
    assert ids == ["", "", *request.product_ids]


async def test_missing_products_are_all_named(api: CatalogApi, account: tuple[int, str]) -> None:
    """Unknown products, and those of another tenant, are named by their place."""
    tenant_id, account_id = account
    mine = await api.new_product(tenant_id)
    foreign = await api.new_product(await api.new_tenant())
    request = rpc.PreviewPricesRequest(
        tenant_id=tenant_id,
        account_id=account_id,
        product_ids=[foreign.product_id, mine.product_id, str(uuid4())],
    )
    error = await refusal(api.prices.PreviewPrices(request))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "PRODUCT_NOT_FOUND")
    assert [violation.field for violation in error.violations] == ["product_ids[0]", "product_ids[2]"]


async def test_rules_belong_to_their_tenant(api: CatalogApi, account: tuple[int, str]) -> None:
    """Another tenant neither reads nor sets nor tries an account's rule."""
    tenant_id, account_id = account
    other = await api.new_tenant()
    calls: list[Awaitable[Any]] = [
        api.prices.GetPriceRule(rpc.GetPriceRuleRequest(tenant_id=other, account_id=account_id)),
        api.prices.SetPriceRule(set_request(other, account_id)),
        api.prices.PreviewPrices(rpc.PreviewPricesRequest(tenant_id=other, account_id=account_id)),
    ]
    for call in calls:
        error = await refusal(call)
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")
    read = rpc.GetPriceRuleRequest(tenant_id=tenant_id, account_id=account_id)
    assert (await api.prices.GetPriceRule(read)).rule.etag == "v0"


async def test_snapshot_carries_the_rules_price(api: CatalogApi) -> None:
    """A snapshot has the price after the rule, and one that the rule cannot make is a violation of its product."""
    tenant_id = await api.new_tenant()
    product = await api.new_product(tenant_id, price=eur(1000))
    product_id = UUID(product.product_id)
    found = await api.snapshots.load(tenant_id, [product_id], "ebay", PriceRule(1_500_000))
    assert found[product_id].message.product.content.price == eur(1500)
    assert found[product_id].price.violations("product") == []
    found = await api.snapshots.load(tenant_id, [product_id], "ebay", PriceRule(1_500_000, "USD", 1))
    (violation,) = found[product_id].price.violations("product")
    assert violation.field == "product.product.content.price"


async def test_callers_of_one_read_have_each_their_own_price(api: CatalogApi) -> None:
    """Callers whose products are read together, for accounts with different rules, get each their own price."""
    tenant_id = await api.new_tenant()
    product_id = UUID((await api.new_product(tenant_id, price=eur(1000))).product_id)
    rules = [None, *(PriceRule(factor * 1_000_000) for factor in range(2, 12))]
    found = await asyncio.gather(
        *(api.snapshots.load_one(tenant_id, product_id, "ebay", rule) for rule in rules)
    )
    amounts = [one.message.product.content.price.amount_minor for one in found if one is not None]
    assert amounts == [1000 * factor for factor in range(1, 12)]
