"""JSON Schemas of the manifest: what a product, options and account settings must be for eBay to take them.

The orchestrator checks them when a job or an account is created, so a seller learns of every violation at
once and before anything is sent. They hold what eBay's documents state for every category; what depends on
the category (required aspects, allowed conditions) only eBay can say.
"""

import copy
from collections.abc import Mapping
from typing import Any, Final

from stoflow_connector_ebay.sites import SITES

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

# ConditionEnum of the Inventory API document, without the value that it calls no longer valid.
CONDITIONS: Final = (
    "NEW",
    "LIKE_NEW",
    "NEW_OTHER",
    "NEW_WITH_DEFECTS",
    "CERTIFIED_REFURBISHED",
    "EXCELLENT_REFURBISHED",
    "VERY_GOOD_REFURBISHED",
    "GOOD_REFURBISHED",
    "SELLER_REFURBISHED",
    "USED_EXCELLENT",
    "USED_VERY_GOOD",
    "USED_GOOD",
    "USED_ACCEPTABLE",
    "FOR_PARTS_OR_NOT_WORKING",
    "PRE_OWNED_EXCELLENT",
    "PRE_OWNED_FAIR",
)

_POSITIVE_INT64: Final = {
    # Protobuf's JSON form writes an int64 as a string.
    "type": ["string", "integer"],
    "pattern": "^[1-9][0-9]*$",
    "minimum": 1,
}

_CONTENT: Final = {
    "type": "object",
    "required": ["sku", "title", "description", "price", "stockQuantity"],
    "properties": {
        "sku": {
            "description": "eBay takes letters and digits only, 50 at most (error 25707)",
            "type": "string",
            "pattern": "^[A-Za-z0-9]{1,50}$",
        },
        "title": {"type": "string", "minLength": 1, "maxLength": 80, "pattern": r"\S"},
        "description": {"type": "string", "minLength": 1, "maxLength": 4000, "pattern": r"\S"},
        "brand": {"type": "string", "maxLength": 65},
        "stockQuantity": {"type": "integer", "minimum": 1},
        "price": {
            "type": "object",
            "required": ["currencyCode", "amountMinor"],
            "properties": {
                "currencyCode": {"enum": sorted({site.currency for site in SITES.values()})},
                "amountMinor": _POSITIVE_INT64,
            },
        },
    },
}

_PRODUCT: Final[Mapping[str, Any]] = {
    "$schema": _DIALECT,
    "title": "A product that eBay can list",
    "type": "object",
    "required": ["product", "mappings"],
    "properties": {
        "product": {
            "type": "object",
            "required": ["content", "images"],
            "properties": {
                "content": _CONTENT,
                "images": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 24,
                    "items": {
                        "type": "object",
                        "properties": {
                            "contentType": {"enum": ["image/jpeg", "image/png", "image/webp"]},
                        },
                    },
                },
            },
        },
        "mappings": {
            "type": "object",
            "required": ["category", "condition"],
            "properties": {
                "category": {
                    "description": "id of a leaf category of the site",
                    "type": "string",
                    "pattern": "^[0-9]{1,20}$",
                },
                "condition": {"enum": list(CONDITIONS)},
            },
        },
    },
}

PRODUCT_SCHEMA: Final[Mapping[str, Any]] = _PRODUCT


def _without_stock(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the schema for products that may be sold out."""
    lenient: dict[str, Any] = copy.deepcopy(dict(schema))
    lenient["title"] = "A product whose eBay listing can be updated"
    content = lenient["properties"]["product"]["properties"]["content"]
    content["properties"]["stockQuantity"]["minimum"] = 0
    return lenient


UPDATE_PRODUCT_SCHEMA: Final[Mapping[str, Any]] = _without_stock(_PRODUCT)

OPTIONS_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": _DIALECT,
    "title": "Options of publish: there are none",
    "type": "object",
    "properties": {},
    "additionalProperties": False,
}

UPDATE_OPTIONS_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": _DIALECT,
    "title": "Options of update",
    "type": "object",
    "properties": {
        "overwrite": {
            "description": "true also writes what the catalogue has not changed since the last update: what the seller "
            "changed of it at eBay is lost",
            "type": "boolean",
        },
    },
    "additionalProperties": False,
}

DELETE_OPTIONS_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": _DIALECT,
    "title": "Options of delete",
    "type": "object",
    "properties": {
        "method": {
            "description": "WITHDRAW, the default, ends the listing; OUT_OF_STOCK sets its quantity to 0, which hides "
            "it when the seller has joined OUT_OF_STOCK_CONTROL and ends it otherwise",
            "enum": ["WITHDRAW", "OUT_OF_STOCK"],
        },
    },
    "additionalProperties": False,
}

_IDENTIFIER: Final = {"type": "string", "minLength": 1, "maxLength": 50}

_SITE_SETTINGS: Final = {
    "type": "object",
    "required": ["fulfillmentPolicyId", "paymentPolicyId", "returnPolicyId", "merchantLocationKey"],
    "properties": {
        "fulfillmentPolicyId": _IDENTIFIER,
        "paymentPolicyId": _IDENTIFIER,
        "returnPolicyId": _IDENTIFIER,
        "merchantLocationKey": _IDENTIFIER,
    },
    "additionalProperties": False,
}

ACCOUNT_SETTINGS_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": _DIALECT,
    "title": "The seller's business policies and stock location, by eBay site",
    "type": "object",
    "minProperties": 1,
    "properties": dict.fromkeys(sorted(SITES), _SITE_SETTINGS),
    "additionalProperties": False,
}
