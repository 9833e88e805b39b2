"""Inventory locations: create, read, list, delete, switch on and off."""

from typing import Any

from stoflow_sandbox.marketplaces.ebay.errors import EbayError, ebay_error, refuse
from stoflow_sandbox.marketplaces.ebay.shapes import conform, one_of
from stoflow_sandbox.marketplaces.ebay.state import Seller
from stoflow_sandbox.marketplaces.exchange import Effect, Reply

KEY_LIMIT = 36
LOCATION: dict[str, Any] = {
    "location": {
        "address": dict.fromkeys(
            ("addressLine1", "addressLine2", "city", "country", "county", "postalCode", "stateOrProvince"),
            str,
        ),
        "geoCoordinates": {"latitude": float, "longitude": float},
    },
    "locationAdditionalInformation": str,
    "locationInstructions": str,
    "locationTypes": [one_of("STORE", "WAREHOUSE", "FULFILLMENT_CENTER")],
    "locationWebUrl": str,
    "merchantLocationStatus": one_of("DISABLED", "ENABLED"),
    "name": str,
    "phone": str,
    "timeZoneId": str,
}


def create_location(seller: Seller, key: str, body: Any) -> Reply:
    """Create a location; its address can never change."""
    fields, problems = conform(body, LOCATION)
    if not 1 <= len(key) <= KEY_LIMIT:
        problems.append(ebay_error(25800, "merchantLocationKey", merchantLocationKey=key))
    if not problems:
        problems = _address_problems(fields)
    if problems:
        return refuse(400, *problems)
    if key in seller.locations:
        return refuse(409, ebay_error(25803, "merchantLocationKey", merchantLocationKey=key))
    seller.locations[key] = make_location(fields, len(seller.locations) + 1)
    return Reply(204, effects=[Effect("location.created", key)])


def make_location(fields: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a location with the defaults that the API documents."""
    location = {"locationTypes": ["WAREHOUSE"], "merchantLocationStatus": "ENABLED"} | fields
    location["location"] = fields["location"] | {"locationId": f"L{number:08d}"}
    return location


def _address_problems(fields: dict[str, Any]) -> list[EbayError]:
    address = fields.get("location", {}).get("address")
    if address is None:
        return [ebay_error(25801, "location.address")]
    if not address.get("country"):
        return [ebay_error(25801, "location.address.country")]
    if address.get("postalCode") or (address.get("city") and address.get("stateOrProvince")):
        return []
    return [
        ebay_error(
            25802, "Either postalCode and country, or city, stateOrProvince and country, are required."
        )
    ]


def get_location(seller: Seller, key: str) -> Reply:
    if key not in seller.locations:
        return _missing(key)
    return Reply(200, location_view(key, seller.locations[key]))


def location_view(key: str, location: dict[str, Any]) -> dict[str, Any]:
    """Return a location with every field that the official document requires of an answer."""
    address = {"stateOrProvince": ""} | location["location"]["address"]
    return {
        **location,
        "merchantLocationKey": key,
        "phone": location.get("phone", ""),
        "location": location["location"] | {"address": address},
    }


def list_locations(seller: Seller, limit: int, offset: int, links: dict[str, str]) -> Reply:
    """Answer one page; here, unlike for items, the offset counts records."""
    chosen = list(seller.locations.items())[offset : offset + limit]
    return Reply(
        200,
        {
            **links,
            "limit": limit,
            "offset": offset,
            "total": len(seller.locations),
            "locations": [location_view(key, location) for key, location in chosen],
        },
    )


def delete_location(seller: Seller, key: str) -> Reply:
    if key not in seller.locations:
        return _missing(key)
    del seller.locations[key]
    return Reply(204, effects=[Effect("location.deleted", key)])


def switch_location(seller: Seller, key: str, status: str) -> Reply:
    """Enable or disable; offers cannot be published from a disabled location."""
    if key not in seller.locations:
        return _missing(key)
    seller.locations[key]["merchantLocationStatus"] = status
    return Reply(200, {}, effects=[Effect("location.switched", key)])


def _missing(key: str) -> Reply:
    return refuse(404, ebay_error(25805, "merchantLocationKey", merchantLocationKey=key))
