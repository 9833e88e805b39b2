"""Price rules between columns and messages."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row
from stoflow.catalog.v1 import price_pb2
from stoflow.common.v1.money_pb2 import Money

from stoflow_orchestrator.messages.times import to_timestamp
from stoflow_orchestrator.pricing import (
    PriceRule,
    Rounding,
    format_coefficient,
    parse_coefficient,
    rule_from_json,
)

ROUNDING_PREFIX = "ROUNDING_MODE_"
SOURCE_PREFIX = "PRICE_SOURCE_"
ETAG_PREFIX = "v"


def rule_of(message: price_pb2.PriceRule) -> PriceRule:
    """Converts a rule as callers write it."""
    rounding = None
    if message.HasField("rounding"):
        mode: Any = price_pb2.RoundingMode.Name(message.rounding.mode).removeprefix(ROUNDING_PREFIX)
        rounding = Rounding(mode, message.rounding.step_minor, message.rounding.ending_minor)
    return PriceRule(
        coefficient_millionths=parse_coefficient(message.coefficient),
        currency=message.currency_code,
        fee_minor=message.fee_minor,
        minimum_minor=message.minimum_minor,
        rounding=rounding,
    )


def _rule_message(rule: PriceRule) -> price_pb2.PriceRule:
    message = price_pb2.PriceRule(
        coefficient=format_coefficient(rule.coefficient_millionths),
        currency_code=rule.currency,
        fee_minor=rule.fee_minor,
        minimum_minor=rule.minimum_minor,
    )
    if rule.rounding is not None:
        message.rounding.mode = price_pb2.RoundingMode.Value(ROUNDING_PREFIX + rule.rounding.mode)
        message.rounding.step_minor = rule.rounding.step_minor
        message.rounding.ending_minor = rule.rounding.ending_minor
    return message


def account_rule_message(account: Row[Any]) -> price_pb2.AccountPriceRule:
    """Converts the rule of an account's row."""
    message = price_pb2.AccountPriceRule(
        account_id=str(account.account_id), etag=f"{ETAG_PREFIX}{account.price_rule_version}"
    )
    if account.price_rule is not None:
        message.rule.CopyFrom(_rule_message(rule_from_json(account.price_rule)))
    if account.price_rule_time is not None:
        message.update_time.CopyFrom(to_timestamp(account.price_rule_time))
    return message


def rule_version(etag: str) -> int | None:
    """Returns the version that an etag names; None for what no etag of ours is."""
    digits = etag.removeprefix(ETAG_PREFIX)
    return int(digits) if digits.isdecimal() and etag == f"{ETAG_PREFIX}{int(digits)}" else None


def calculation_message(
    base: Money, price: Money | None, source: str, problem: str = "", product_id: str = ""
) -> price_pb2.PriceCalculation:
    """Makes the answer for one price."""
    return price_pb2.PriceCalculation(
        product_id=product_id,
        base=base,
        price=price,
        source=price_pb2.PriceSource.Value(SOURCE_PREFIX + source),
        problem=problem,
    )
