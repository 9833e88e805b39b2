"""A listing's inventory: read, merged with the product's SKU, price and stock, and written back whole.

updateListingInventory replaces everything, so what it is not told is lost: variations vanish when the
`*_on_property` lists are not sent back.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from stoflow_connector_etsy.listing_terms import ListingTerms, refusal
from stoflow_connector_etsy.price import decimal_price, money_decimal
from stoflow_connector_sdk import Violation

Json = dict[str, Any]

_ON_PROPERTY: Final = (
    "price_on_property",
    "quantity_on_property",
    "sku_on_property",
    "readiness_state_on_property",
)
# What a write takes of a property value; scale_name and whatever else is read only.
_PROPERTY_NAMES: Final = ("property_id", "value_ids", "scale_id", "property_name", "values")


def merged_inventory(existing: Mapping[str, Any], terms: ListingTerms) -> Json:
    """Returns the body of updateListingInventory that carries the product's SKU, price and stock.

    Args:
        existing: What getListingInventory returned; empty for a listing without a record.
        terms: The product, of which at least one piece is there.

    Raises:
        PermanentError: The listing has variations, and which of them the product is cannot be told.
    """
    body = writable(existing)
    products = body["products"] or [{"sku": "", "property_values": [], "offerings": []}]
    varying = {name: bool(body.get(name)) for name in _ON_PROPERTY}
    if len(products) == 1:
        _apply(products[0], terms, ("sku", "price", "quantity"))
    else:
        _apply_to_variations(products, terms, varying)
    return {**body, "products": products}


def writable(existing: Mapping[str, Any]) -> Json:
    """Returns an inventory as a write takes it: without what is read only or deleted, prices as numbers."""
    products = [_product(one) for one in existing.get("products") or () if not one.get("is_deleted")]
    body: Json = {"products": products}
    for name in _ON_PROPERTY:
        found = existing.get(name)
        if found is not None or name != "readiness_state_on_property":
            body[name] = list(found or ())
    return body


def total_quantity(existing: Mapping[str, Any]) -> int:
    """Returns how many pieces buyers can have."""
    offerings = (
        offering
        for product in existing.get("products") or ()
        if not product.get("is_deleted")
        for offering in product.get("offerings") or ()
        if offering.get("is_enabled") and not offering.get("is_deleted")
    )
    return sum(int(offering.get("quantity") or 0) for offering in offerings)


def skus(existing: Mapping[str, Any] | None) -> list[str]:
    """Returns the SKUs of an inventory, each once."""
    products = (existing or {}).get("products") or ()
    found = (str(one.get("sku") or "") for one in products if not one.get("is_deleted"))
    return list(dict.fromkeys(sku for sku in found if sku))


def _apply_to_variations(products: Sequence[Json], terms: ListingTerms, varying: Mapping[str, bool]) -> None:
    ours = [product for product in products if product["sku"] == terms.content.sku]
    shared = [what for what in ("price", "quantity") if not varying[f"{what}_on_property"]]
    own = [what for what in ("price", "quantity") if varying[f"{what}_on_property"]]
    if own and not ours:
        text = (
            f"the listing has variations, their {' and '.join(own)} differ, and none has the SKU "
            f"{terms.content.sku}: give one of them that SKU at Etsy"
        )
        raise refusal([Violation("product.content.sku", text)], "The listing cannot be updated")
    for product in products:
        _apply(product, terms, shared)
    for product in ours:
        _apply(product, terms, own)


def _apply(product: Json, terms: ListingTerms, what: Iterable[str]) -> None:
    if not product["offerings"]:
        product["offerings"] = [{"price": 0.0, "quantity": 0, "is_enabled": True, "readiness_state_id": None}]
    for name in what:
        if name == "sku":
            product["sku"] = terms.content.sku
            continue
        for offering in product["offerings"]:
            if name == "price":
                offering["price"] = float(decimal_price(terms.content.price))
            else:
                offering["quantity"] = terms.content.stock_quantity
                offering["is_enabled"] = True
    for offering in product["offerings"]:
        offering["readiness_state_id"] = (
            offering["readiness_state_id"] or terms.shop.readiness_state_id or None
        )


def _product(existing: Mapping[str, Any]) -> Json:
    return {
        "sku": str(existing.get("sku") or ""),
        "property_values": [
            {name: value[name] for name in _PROPERTY_NAMES if name in value}
            for value in existing.get("property_values") or ()
        ],
        "offerings": [_offering(one) for one in existing.get("offerings") or () if not one.get("is_deleted")],
    }


def _offering(existing: Mapping[str, Any]) -> Json:
    price = money_decimal(existing.get("price"))
    return {
        "price": float(price) if price is not None else 0.0,
        "quantity": int(existing.get("quantity") or 0),
        "is_enabled": bool(existing.get("is_enabled")),
        "readiness_state_id": existing.get("readiness_state_id"),
    }
