"""What eBay requires of a listing, against what the listing would be: pure checks, each naming the field."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from stoflow.catalog.v1 import product_pb2

from stoflow_connector_ebay.clients.reference import AspectRule, ConditionRule
from stoflow_connector_ebay.listing_terms import ListingTerms
from stoflow_connector_ebay.mapping import aspects_of
from stoflow_connector_ebay.price import format_price
from stoflow_connector_sdk import Violation

# ConditionEnum of the Inventory API document: the condition id that each value stands for.
CONDITION_IDS: Final[Mapping[str, str]] = {
    "NEW": "1000",
    "NEW_OTHER": "1500",
    "NEW_WITH_DEFECTS": "1750",
    "CERTIFIED_REFURBISHED": "2000",
    "EXCELLENT_REFURBISHED": "2010",
    "VERY_GOOD_REFURBISHED": "2020",
    "GOOD_REFURBISHED": "2030",
    "SELLER_REFURBISHED": "2500",
    "LIKE_NEW": "2750",
    "PRE_OWNED_EXCELLENT": "2990",
    "USED_EXCELLENT": "3000",
    "PRE_OWNED_FAIR": "3010",
    "USED_VERY_GOOD": "4000",
    "USED_GOOD": "5000",
    "USED_ACCEPTABLE": "6000",
    "FOR_PARTS_OR_NOT_WORKING": "7000",
}
# eBay's picture policy: "Photos must be at least 500 pixels on the longest side."
LONGEST_SIDE_PIXELS: Final = 500
# Taxonomy API document: "Up to 30 values can be supplied for aspects that accept multiple values."
MOST_VALUES: Final = 30
_NAMED_VALUES: Final = 10


@dataclass(frozen=True, slots=True)
class SellerFacts:
    """What a seller has set up on a site.

    Attributes:
        policy_ids: The ids of the seller's business policies, by kind; None when the seller has not opted in to them.
        location_status: ENABLED or DISABLED; None when there is no such location.
        is_registered: Whether the seller's registration is complete.
        most_quantity: How many pieces the seller may sell a month; None for no limit.
        most_amount: For how much, as a decimal with its currency; None for no limit.
    """

    policy_ids: Mapping[str, frozenset[str]] | None
    location_status: str | None
    is_registered: bool
    most_quantity: int | None
    most_amount: tuple[Decimal, str] | None


@dataclass(frozen=True, slots=True)
class CategoryFacts:
    """What a category of a site asks for.

    Attributes:
        problem: Why a listing may not name it; empty when it may.
        aspects: Its item specifics.
        conditions: Which conditions it takes; None when eBay says nothing of it.
    """

    problem: str = ""
    aspects: Sequence[AspectRule] = ()
    conditions: ConditionRule | None = None


def picture_violations(images: Iterable[product_pb2.ProductImage]) -> list[Violation]:
    """Lists the pictures that are too small; one whose size is not known passes."""
    return [
        Violation(
            f"product.images[{index}]",
            f"is {image.width_pixels} x {image.height_pixels} pixels; eBay asks for {LONGEST_SIDE_PIXELS} on the "
            "longest side",
        )
        for index, image in enumerate(images)
        if 0 < max(image.width_pixels, image.height_pixels) < LONGEST_SIDE_PIXELS
    ]


def seller_violations(facts: SellerFacts, terms: ListingTerms) -> list[Violation]:
    """Lists what the seller has to set up at eBay, or in the account's settings."""
    found = []
    where = f"account.settings.{terms.site.marketplace_id}"
    if not facts.is_registered:
        found.append(Violation("account", "the seller's registration at eBay is not complete"))
    if facts.policy_ids is None:
        found.append(Violation("account", "the seller has not opted in to business policies at eBay"))
    else:
        named = {
            "fulfillment": terms.fulfillment_policy_id,
            "payment": terms.payment_policy_id,
            "return": terms.return_policy_id,
        }
        found += [
            Violation(
                f"{where}.{kind}PolicyId",
                f"the seller has no {kind} policy {policy_id} on {terms.site.marketplace_id}",
            )
            for kind, policy_id in named.items()
            if policy_id not in facts.policy_ids[kind]
        ]
    key = terms.merchant_location_key
    if facts.location_status is None:
        found.append(Violation(f"{where}.merchantLocationKey", f"the seller has no inventory location {key}"))
    elif facts.location_status != "ENABLED":
        found.append(
            Violation(f"{where}.merchantLocationKey", f"location {key} is {facts.location_status.lower()}")
        )
    return found + _limit_violations(facts, terms)


def _limit_violations(facts: SellerFacts, terms: ListingTerms) -> list[Violation]:
    found = []
    quantity = terms.content.stock_quantity
    if facts.most_quantity is not None and quantity > facts.most_quantity:
        found.append(
            Violation(
                "product.content.stockQuantity",
                f"the seller may sell {facts.most_quantity} pieces a month, the product has {quantity}",
            )
        )
    price = terms.content.price
    if facts.most_amount is not None and facts.most_amount[1] == price.currency_code:
        worth = Decimal(format_price(price.amount_minor, price.currency_code)) * quantity
        if worth > facts.most_amount[0]:
            found.append(
                Violation(
                    "product.content.price",
                    f"the seller may sell for {facts.most_amount[0]} {price.currency_code} a month, "
                    f"the product is worth {worth}",
                )
            )
    return found


def category_violations(facts: CategoryFacts, terms: ListingTerms) -> list[Violation]:
    """Lists what the category refuses or misses."""
    if facts.problem:
        return [Violation("mappings.category", f"category {terms.category_id}: {facts.problem}")]
    given = aspects_of(terms.content)
    found = [violation for rule in facts.aspects for violation in _aspect_violations(rule, given)]
    rule = facts.conditions
    if rule is not None and rule.condition_ids:
        condition_id = CONDITION_IDS.get(terms.condition, "")
        if condition_id not in rule.condition_ids:
            allowed = [name for name, known in CONDITION_IDS.items() if known in rule.condition_ids]
            found.append(
                Violation(
                    "mappings.condition",
                    f"category {terms.category_id} does not take {terms.condition}; it takes: "
                    f"{', '.join(allowed) or 'none that the Inventory API has'}",
                )
            )
    return found


def _aspect_violations(rule: AspectRule, given: Mapping[str, list[str]]) -> list[Violation]:
    field = "product.content.brand" if rule.name == "Brand" else f"product.content.attributes.{rule.name}"
    values = [value for value in given.get(rule.name, ()) if value.strip()]
    if not values:
        return [Violation(field, f"the category requires {rule.name}")] if rule.is_required else []
    problems = []
    if len(values) > (1 if rule.is_single else MOST_VALUES):
        most = "one value" if rule.is_single else f"{MOST_VALUES} values"
        problems.append(f"{rule.name} takes {most}, got {len(values)}")
    if rule.values and (wrong := [value for value in values if value not in rule.values]):
        named = sorted(rule.values)
        more = f" and {len(named) - _NAMED_VALUES} more" if len(named) > _NAMED_VALUES else ""
        problems.append(
            f"{rule.name} does not take {', '.join(map(repr, wrong))}; it takes: "
            f"{', '.join(named[:_NAMED_VALUES])}{more}"
        )
    if rule.max_length and (long := [value for value in values if len(value) > rule.max_length]):
        problems.append(f"{rule.name} takes {rule.max_length} characters, {long[0]!r} has {len(long[0])}")
    return [Violation(field, problem) for problem in problems]
