"""The manifest's schemas refuse what eBay would refuse, with every violation at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from jsonschema import Draft202012Validator
from stoflow.connector.v1.task_pb2 import ProductSnapshot

from stoflow_connector_ebay.default_mappings import DEFAULT_MAPPINGS
from stoflow_connector_ebay.schemas import ACCOUNT_SETTINGS_SCHEMA, CONDITIONS, OPTIONS_SCHEMA, PRODUCT_SCHEMA
from tests.unit.stoflow_connector_ebay.samples import MAPPINGS, SETTINGS, make_product


def violations(schema: Mapping[str, Any], value: Any) -> list[str]:
    """Returns the path of every violation."""
    Draft202012Validator.check_schema(schema)
    return sorted(error.json_path for error in Draft202012Validator(schema).iter_errors(value))


def snapshot(**changes: Any) -> ProductSnapshot:
    return ProductSnapshot(product=make_product(**changes), mappings=MAPPINGS)


def as_json(message: ProductSnapshot) -> dict[str, Any]:
    """The form in which the orchestrator validates a product."""
    return MessageToDict(message, always_print_fields_with_no_presence=True)


def test_good_product_passes() -> None:
    """A product that eBay takes breaks nothing."""
    assert violations(PRODUCT_SCHEMA, as_json(snapshot())) == []


def test_empty_product_breaks_every_rule_at_once() -> None:
    """All that a product lacks is reported in one go."""
    content = "$.product.content"
    empty = ProductSnapshot()
    empty.product.content.price.SetInParent()
    found = violations(PRODUCT_SCHEMA, as_json(empty))
    assert set(found) == {
        f"{content}.sku",
        f"{content}.title",
        f"{content}.description",
        f"{content}.stockQuantity",
        f"{content}.price.currencyCode",
        f"{content}.price.amountMinor",
        "$.product.images",
        "$.mappings",
    }


def _with(path: str, value: Any) -> Callable[[ProductSnapshot], None]:
    def change(message: ProductSnapshot) -> None:
        *parents, last = path.split(".")
        target: Any = message
        for name in parents:
            target = getattr(target, name)
        setattr(target, last, value)

    return change


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (_with("product.content.title", "x" * 81), "$.product.content.title"),
        (_with("product.content.title", "   "), "$.product.content.title"),
        (_with("product.content.sku", "AB-1"), "$.product.content.sku"),
        (_with("product.content.sku", "A" * 51), "$.product.content.sku"),
        (_with("product.content.description", "x" * 4001), "$.product.content.description"),
        (_with("product.content.stock_quantity", 0), "$.product.content.stockQuantity"),
        (_with("product.content.brand", "x" * 66), "$.product.content.brand"),
        (_with("product.content.price.amount_minor", 0), "$.product.content.price.amountMinor"),
        (_with("product.content.price.currency_code", "JPY"), "$.product.content.price.currencyCode"),
        (lambda message: message.product.images.clear(), "$.product.images"),
        (lambda message: message.product.images.extend(message.product.images[:1] * 22), "$.product.images"),
        (lambda message: message.mappings.pop("category"), "$.mappings"),
        (lambda message: message.mappings.update(condition="VERY_GOOD"), "$.mappings.condition"),
        (lambda message: message.mappings.update(category="dresses"), "$.mappings.category"),
    ],
)
def test_each_limit_of_ebay_is_a_rule(change: Callable[[ProductSnapshot], None], path: str) -> None:
    """One step over a documented limit is refused at exactly that field."""
    message = snapshot()
    change(message)
    assert violations(PRODUCT_SCHEMA, as_json(message)) == [path]


@pytest.mark.parametrize(
    "change",
    [
        _with("product.content.title", "x" * 80),
        _with("product.content.sku", "A" * 50),
        _with("product.content.description", "x" * 4000),
        lambda message: message.product.images.extend(message.product.images[:1] * 21),
    ],
)
def test_the_limit_itself_is_allowed(change: Callable[[ProductSnapshot], None]) -> None:
    """A product at a documented limit passes."""
    message = snapshot()
    change(message)
    assert violations(PRODUCT_SCHEMA, as_json(message)) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (SETTINGS, []),
        ({}, ["$"]),
        ({"EBAY_XX": SETTINGS["EBAY_US"]}, ["$"]),
        ({"EBAY_US": {**SETTINGS["EBAY_US"], "extra": "1"}}, ["$.EBAY_US"]),
        ({"EBAY_DE": {}}, ["$.EBAY_DE"] * 4),
        ({"EBAY_DE": {**SETTINGS["EBAY_US"], "paymentPolicyId": ""}}, ["$.EBAY_DE.paymentPolicyId"]),
        ({"EBAY_DE": {**SETTINGS["EBAY_US"], "paymentPolicyId": 7}}, ["$.EBAY_DE.paymentPolicyId"]),
    ],
)
def test_account_settings_need_all_four_ids_of_each_site(
    settings: Mapping[str, Any], expected: list[str]
) -> None:
    """Settings are complete for every site they name, and hold nothing else."""
    assert violations(ACCOUNT_SETTINGS_SCHEMA, settings) == expected


def test_publish_takes_no_options() -> None:
    """Options that publish does not know are refused, so that a misspelt one is no surprise."""
    assert violations(OPTIONS_SCHEMA, {}) == []
    assert violations(OPTIONS_SCHEMA, {"dryRun": True}) == ["$"]


def test_default_mappings_pass_the_product_schema() -> None:
    """Every default category and condition is one that the product schema lets through."""
    assert set(DEFAULT_MAPPINGS["condition"].values()) <= set(CONDITIONS)
    for category in DEFAULT_MAPPINGS["category"].values():
        message = snapshot()
        message.mappings["category"] = category
        assert violations(PRODUCT_SCHEMA, as_json(message)) == []
