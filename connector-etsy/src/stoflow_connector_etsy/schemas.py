"""JSON Schemas of the manifest: what a product, options and account settings must be for Etsy to take them.

The orchestrator checks them when a job or an account is created, so a seller learns of every violation at
once and before anything is sent. They hold what Etsy states for every category; what depends on the category
and on the shop the first step of publish asks Etsy itself.
"""

from collections.abc import Mapping
from typing import Any, Final

from stoflow_connector_etsy.texts import MAX_TITLE_CHARACTERS

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_POSITIVE_INT64: Final = {
    # Protobuf's JSON form writes an int64 as a string.
    "type": ["string", "integer"],
    "pattern": "^[1-9][0-9]*$",
    "minimum": 1,
}

_ORIGIN: Final = {
    "description": "Etsy asks who made an article and when; its condition says neither",
    "type": "object",
    "required": ["whoMade"],
    "properties": {
        "whoMade": {"enum": ["WHO_MADE_SELLER", "WHO_MADE_SHOP_MEMBER", "WHO_MADE_SOMEONE_ELSE"]},
        "isMadeToOrder": {"type": "boolean"},
        "madeFromYear": {"type": "integer", "minimum": 1},
        "madeToYear": {"type": "integer", "minimum": 1},
    },
    "anyOf": [
        {"required": ["madeFromYear", "madeToYear"]},
        {"required": ["isMadeToOrder"], "properties": {"isMadeToOrder": {"const": True}}},
    ],
}


def _content(least_stock: int) -> Mapping[str, Any]:
    # A stock of zero is left out of protobuf's JSON form.
    stock = ["stockQuantity"] if least_stock else []
    return {
        "type": "object",
        "required": ["sku", "title", "description", "price", "origin", *stock],
        "properties": {
            "sku": {"type": "string", "minLength": 1, "maxLength": 32},
            "title": {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_TITLE_CHARACTERS,
                "pattern": r"\S",
            },
            "description": {"type": "string", "minLength": 1, "pattern": r"\S"},
            "stockQuantity": {"type": "integer", "minimum": least_stock, "maximum": 999},
            "price": {
                "type": "object",
                "required": ["currencyCode", "amountMinor"],
                "properties": {"amountMinor": _POSITIVE_INT64},
            },
            "origin": _ORIGIN,
        },
    }


_MAPPINGS: Final = {
    "type": "object",
    "required": ["category"],
    "properties": {
        "category": {
            "description": "id of a node of Etsy's seller taxonomy",
            "type": "string",
            "pattern": "^[1-9][0-9]{0,17}$",
        },
    },
}

_IMAGES: Final = {
    "type": "array",
    "maxItems": 20,
    "items": {
        "type": "object",
        "properties": {"contentType": {"enum": ["image/jpeg", "image/png", "image/webp"]}},
    },
}


def _product(title: str, *, least_stock: int, least_images: int) -> Mapping[str, Any]:
    # An empty list is left out of protobuf's JSON form as well.
    images = ["images"] if least_images else []
    return {
        "$schema": _DIALECT,
        "title": title,
        "type": "object",
        "required": ["product", "mappings"],
        "properties": {
            "product": {
                "type": "object",
                "required": ["content", *images],
                "properties": {
                    "content": _content(least_stock),
                    "images": {**_IMAGES, "minItems": least_images},
                },
            },
            "mappings": _MAPPINGS,
        },
    }


PRODUCT_SCHEMA: Final = _product("A product that Etsy can list", least_stock=1, least_images=1)

UPDATED_PRODUCT_SCHEMA: Final = _product(
    "A product whose listing Etsy can update; none left ends it", least_stock=0, least_images=0
)

_NO_OPTIONS: Final = {"type": "object", "properties": {}, "additionalProperties": False}

OPTIONS_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": _DIALECT,
    "title": "Options of publish, update and sync_listings: there are none",
    **_NO_OPTIONS,
}

DELETE_OPTIONS_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": _DIALECT,
    "title": "Options of delete",
    "type": "object",
    "properties": {
        "method": {
            "description": "DEACTIVATE takes the listing off the market and can be undone; DELETE cannot",
            "enum": ["DEACTIVATE", "DELETE"],
            "default": "DEACTIVATE",
        }
    },
    "additionalProperties": False,
}

ORDER_OPTIONS_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": _DIALECT,
    "title": "Options of sync_orders",
    "type": "object",
    "properties": {
        "overlapHours": {
            "description": "how much of what the last complete sync has seen is read again",
            "type": "integer",
            "minimum": 1,
            "maximum": 720,
            "default": 24,
        },
        "revisitDays": {
            "description": "how far back open and cancelled receipts are read again; all, when nothing was synced yet",
            "type": "integer",
            "minimum": 1,
            "maximum": 365,
            "default": 60,
        },
    },
    "additionalProperties": False,
}

_ID: Final = {"type": "string", "pattern": "^[1-9][0-9]{0,18}$"}

ACCOUNT_SETTINGS_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": _DIALECT,
    "title": "The shop, and which of its profiles listings use",
    "type": "object",
    "required": ["shopId"],
    "properties": {
        "shopId": _ID,
        "shippingProfileId": _ID,
        "returnPolicyId": _ID,
        "readinessStateId": _ID,
        "shopSectionId": _ID,
    },
    "additionalProperties": False,
}
