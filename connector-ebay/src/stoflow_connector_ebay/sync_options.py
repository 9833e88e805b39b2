"""JSON Schemas of the options of the two syncs."""

from collections.abc import Mapping
from typing import Any, Final

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

SYNC_ORDERS_OPTIONS_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": _DIALECT,
    "title": "Options of sync_orders",
    "type": "object",
    "properties": {
        "days": {
            "description": "Reads orders that were changed in so many days, in place of those since the last whole "
            "sync; eBay shows orders of two years.",
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 729,
        }
    },
    "additionalProperties": False,
}

SYNC_LISTINGS_OPTIONS_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": _DIALECT,
    "title": "Options of sync_listings: there are none",
    "type": "object",
    "properties": {},
    "additionalProperties": False,
}
