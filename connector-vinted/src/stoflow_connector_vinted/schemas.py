"""JSON Schemas of the manifest: what a product, options and account settings must be for Vinted to take them.

The orchestrator checks them when a job or an account is created, so a seller learns of every violation at once and
before anything is sent.
"""

from collections.abc import Mapping
from typing import Any, Final

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

MAX_PHOTOS: Final = 20
MAX_COLOURS: Final = 2

_NUMBER: Final = {"type": "string", "pattern": "^[1-9][0-9]{0,11}$"}
_POSITIVE_INT64: Final = {
    # Protobuf's JSON form writes an int64 as a string.
    "type": ["string", "integer"],
    "pattern": "^[1-9][0-9]*$",
    "minimum": 1,
}
_CONTENT: Final = {
    "type": "object",
    "required": ["title", "description", "price"],
    "properties": {
        "title": {"type": "string", "minLength": 5, "maxLength": 100, "pattern": r"\S"},
        "description": {"type": "string", "minLength": 5, "maxLength": 2000, "pattern": r"\S"},
        "price": {
            "type": "object",
            "required": ["currencyCode", "amountMinor"],
            "properties": {"amountMinor": _POSITIVE_INT64},
        },
    },
}
_MAPPINGS: Final = {
    "type": "object",
    "required": ["category", "condition"],
    "properties": {
        "category": {"description": "number of a catalogue of the site", **_NUMBER},
        "condition": {"description": "number of a status of the site", **_NUMBER},
        "brand": {"description": "number of a brand of the site", **_NUMBER},
        "size": {"description": "number of a size of the site", **_NUMBER},
    },
}
_IMAGES: Final = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_PHOTOS,
    "items": {
        "type": "object",
        "properties": {"contentType": {"enum": ["image/jpeg", "image/png", "image/webp"]}},
    },
}


def _product(title: str, product: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "$schema": _DIALECT,
        "title": title,
        "type": "object",
        "required": ["product", "mappings"],
        "properties": {
            "product": {
                "type": "object",
                "required": ["content", *product],
                "properties": {"content": _CONTENT, **product},
            },
            "mappings": _MAPPINGS,
        },
    }


PRODUCT_SCHEMA: Final = _product("A product that Vinted can list", {"images": _IMAGES})
UPDATED_PRODUCT_SCHEMA: Final = _product("A product whose item Vinted can update", {})

_PACKAGE_SIZE: Final = {
    "description": "number of a package size of the site",
    "type": "integer",
    "minimum": 1,
    "maximum": 1_000_000,
}

_NOTHING: Final = {"type": "object", "properties": {}, "additionalProperties": False}
OPTIONS_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": _DIALECT,
    "title": "Options of delete, sync_listings and check_connection: there are none",
    **_NOTHING,
}
ITEM_OPTIONS_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": _DIALECT,
    "title": "Options of publish and update",
    "type": "object",
    "properties": {"packageSizeId": _PACKAGE_SIZE},
    "additionalProperties": False,
}
ORDER_OPTIONS_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": _DIALECT,
    "title": "Options of sync_orders",
    "type": "object",
    "properties": {
        "lookbackDays": {
            "description": "how far back to read sales",
            "type": "integer",
            "minimum": 1,
            "maximum": 365,
        }
    },
    "additionalProperties": False,
}
ACCOUNT_SETTINGS_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": _DIALECT,
    "title": "What the seller's items have in common",
    "type": "object",
    "required": ["packageSizeId"],
    "properties": {"packageSizeId": _PACKAGE_SIZE},
    "additionalProperties": False,
}
