"""Types of request bodies: what eBay can read, and which field it cannot.

A shape is a type (`str`, `int`, `float`, `bool`), an `OneOf`, a dict of field to shape, a one-element list of
the element's shape, or a `MapOf`. Unknown fields are read over, as the live API does, and never come back in
an answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stoflow_sandbox.marketplaces.ebay.errors import EbayError, ebay_error


@dataclass(frozen=True)
class OneOf:
    """A string out of a fixed set."""

    values: frozenset[str]


@dataclass(frozen=True)
class MapOf:
    """An object with free keys whose values have one shape."""

    value: Any


def one_of(*values: str) -> OneOf:
    return OneOf(frozenset(values))


AMOUNT = {"currency": str, "value": str}
LOCALES = (
    "en_US", "en_CA", "fr_CA", "en_GB", "en_AU", "en_IN", "de_AT", "fr_BE", "fr_FR", "de_DE", "it_IT",
    "nl_BE", "nl_NL", "es_ES", "de_CH", "fi_FI", "zh_HK", "hu_HU", "en_PH", "pl_PL", "pt_PT", "ru_RU",
    "en_SG", "en_IE", "en_MY",
)  # fmt: skip
CONDITIONS = (
    "NEW", "LIKE_NEW", "NEW_OTHER", "NEW_WITH_DEFECTS", "MANUFACTURER_REFURBISHED", "CERTIFIED_REFURBISHED",
    "EXCELLENT_REFURBISHED", "VERY_GOOD_REFURBISHED", "GOOD_REFURBISHED", "SELLER_REFURBISHED",
    "USED_EXCELLENT", "USED_VERY_GOOD", "USED_GOOD", "USED_ACCEPTABLE", "FOR_PARTS_OR_NOT_WORKING",
    "PRE_OWNED_EXCELLENT", "PRE_OWNED_FAIR",
)  # fmt: skip
MARKETPLACES = (
    "EBAY_US", "EBAY_MOTORS", "EBAY_CA", "EBAY_GB", "EBAY_AU", "EBAY_AT", "EBAY_BE", "EBAY_FR", "EBAY_DE",
    "EBAY_IT", "EBAY_NL", "EBAY_ES", "EBAY_CH", "EBAY_TW", "EBAY_CZ", "EBAY_DK", "EBAY_FI", "EBAY_GR",
    "EBAY_HK", "EBAY_HU", "EBAY_IN", "EBAY_ID", "EBAY_IE", "EBAY_IL", "EBAY_MY", "EBAY_NZ", "EBAY_NO",
    "EBAY_PH", "EBAY_PL", "EBAY_PT", "EBAY_PR", "EBAY_RU", "EBAY_SG", "EBAY_ZA", "EBAY_SE", "EBAY_TH",
    "EBAY_VN", "EBAY_CN", "EBAY_PE", "EBAY_JP",
)  # fmt: skip
FORMATS = ("AUCTION", "FIXED_PRICE")
_DURATIONS = ("DAYS_1", "DAYS_3", "DAYS_5", "DAYS_7", "DAYS_10", "DAYS_21", "DAYS_30", "GTC")
_TIME_UNITS = (
    "YEAR",
    "MONTH",
    "DAY",
    "HOUR",
    "CALENDAR_DAY",
    "BUSINESS_DAY",
    "MINUTE",
    "SECOND",
    "MILLISECOND",
)
_FULFILLMENT_TIME = {"unit": OneOf(frozenset(_TIME_UNITS)), "value": int}
_AT_LOCATION = {"fulfillmentTime": _FULFILLMENT_TIME, "merchantLocationKey": str, "quantity": int}
SHIP_TO_LOCATION = {"quantity": int, "availabilityDistributions": [_AT_LOCATION]}

ITEM: dict[str, Any] = {
    "availability": {
        "shipToLocationAvailability": SHIP_TO_LOCATION,
        "pickupAtLocationAvailability": [
            _AT_LOCATION | {"availabilityType": one_of("IN_STOCK", "OUT_OF_STOCK", "SHIP_TO_STORE")}
        ],
    },
    "condition": OneOf(frozenset(CONDITIONS)),
    "conditionDescription": str,
    "conditionDescriptors": [{"additionalInfo": str, "name": str, "values": [str]}],
    "packageWeightAndSize": {
        "dimensions": {
            "height": float,
            "length": float,
            "width": float,
            "unit": one_of("INCH", "FEET", "CENTIMETER", "METER"),
        },
        "packageType": str,
        "shippingIrregular": bool,
        "weight": {"unit": one_of("POUND", "KILOGRAM", "OUNCE", "GRAM"), "value": float},
    },
    "product": {
        "aspects": MapOf([str]),
        "brand": str,
        "description": str,
        "ean": [str],
        "epid": str,
        "imageUrls": [str],
        "isbn": [str],
        "mpn": str,
        "subtitle": str,
        "title": str,
        "upc": [str],
        "videoIds": [str],
    },
}

_COUNTRY_POLICIES = {"countryPolicies": [{"country": str, "policyIds": [str]}]}
_COMPANY = dict.fromkeys(
    (
        "addressLine1", "addressLine2", "city", "companyName", "contactUrl", "country", "email", "phone",
        "postalCode", "stateOrProvince",
    ),
    str,
)  # fmt: skip
_SAFETY = {"component": str, "pictograms": [str], "statements": [str]}

OFFER_UPDATE: dict[str, Any] = {
    "availableQuantity": int,
    "categoryId": str,
    "charity": {"charityId": str, "donationPercentage": str},
    "extendedProducerResponsibility": {"ecoParticipationFee": AMOUNT},
    "hideBuyerDetails": bool,
    "includeCatalogProductDetails": bool,
    "listingDescription": str,
    "listingDuration": OneOf(frozenset(_DURATIONS)),
    "listingPolicies": {
        "bestOfferTerms": {"autoAcceptPrice": AMOUNT, "autoDeclinePrice": AMOUNT, "bestOfferEnabled": bool},
        "eBayPlusIfEligible": bool,
        "fulfillmentPolicyId": str,
        "paymentPolicyId": str,
        "productCompliancePolicyIds": [str],
        "regionalProductCompliancePolicies": _COUNTRY_POLICIES,
        "regionalTakeBackPolicies": _COUNTRY_POLICIES,
        "returnPolicyId": str,
        "shippingCostOverrides": [
            {
                "additionalShippingCost": AMOUNT,
                "priority": int,
                "shippingCost": AMOUNT,
                "shippingServiceType": one_of("DOMESTIC", "INTERNATIONAL"),
                "surcharge": AMOUNT,
            }
        ],
        "takeBackPolicyId": str,
    },
    "listingStartDate": str,
    "lotSize": int,
    "merchantLocationKey": str,
    "pricingSummary": {
        "auctionReservePrice": AMOUNT,
        "auctionStartPrice": AMOUNT,
        "minimumAdvertisedPrice": AMOUNT,
        "originallySoldForRetailPriceOn": one_of("ON_EBAY", "OFF_EBAY", "ON_AND_OFF_EBAY"),
        "originalRetailPrice": AMOUNT,
        "price": AMOUNT,
        "pricingVisibility": one_of("NONE", "PRE_CHECKOUT", "DURING_CHECKOUT"),
    },
    "quantityLimitPerBuyer": int,
    "regulatory": {
        "documents": [{"documentId": str}],
        "energyEfficiencyLabel": dict.fromkeys(
            ("imageDescription", "imageURL", "productInformationSheet"), str
        ),
        "hazmat": _SAFETY | {"signalWord": str},
        "manufacturer": _COMPANY,
        "productSafety": _SAFETY,
        "repairScore": float,
        "responsiblePersons": [_COMPANY | {"types": [one_of("EU_RESPONSIBLE_PERSON")]}],
    },
    "secondaryCategoryId": str,
    "storeCategoryNames": [str],
    "tax": {"applyTax": bool, "thirdPartyTaxCategory": str, "vatPercentage": float},
}
OFFER = OFFER_UPDATE | {
    "sku": str,
    "marketplaceId": OneOf(frozenset(MARKETPLACES)),
    "format": OneOf(frozenset(FORMATS)),
}
PRICE_QUANTITY: dict[str, Any] = {
    "requests": [
        {
            "sku": str,
            "shipToLocationAvailability": SHIP_TO_LOCATION,
            "offers": [{"availableQuantity": int, "offerId": str, "price": AMOUNT}],
        }
    ]
}


def conform(value: Any, shape: Any) -> tuple[dict[str, Any], list[EbayError]]:
    """Return the fields of a body that eBay knows, and an error for each that it cannot read."""
    if not isinstance(value, dict):
        return {}, [_unreadable("body")]
    unreadable: list[str] = []
    clean: dict[str, Any] = _walk(value, shape, "", unreadable)
    return clean, [_unreadable(path) for path in unreadable]


def _unreadable(path: str) -> EbayError:
    return ebay_error(2004, reason=f"Could not serialize field [{path}]")


def _walk(value: Any, shape: Any, path: str, unreadable: list[str]) -> Any:
    if isinstance(shape, MapOf | Mapping):
        if isinstance(value, dict):
            return _walk_object(value, shape, path, unreadable)
    elif isinstance(shape, list):
        if isinstance(value, list):
            return [_walk(each, shape[0], f"{path}[{i}]", unreadable) for i, each in enumerate(value)]
    elif _fits(value, shape):
        return value
    unreadable.append(path)
    return None


def _walk_object(
    value: dict[str, Any], shape: MapOf | Mapping[str, Any], path: str, unreadable: list[str]
) -> dict[str, Any]:
    # Null is how clients say "absent"; the live API stores nothing for it.
    known = {name: each for name, each in value.items() if each is not None}
    if isinstance(shape, MapOf):
        return {name: _walk(each, shape.value, f"{path}.{name}", unreadable) for name, each in known.items()}
    return {
        name: _walk(each, shape[name], f"{path}.{name}".lstrip("."), unreadable)
        for name, each in known.items()
        if name in shape
    }


def _fits(value: Any, shape: Any) -> bool:
    if isinstance(shape, OneOf):
        return isinstance(value, str) and value in shape.values
    if shape is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if shape is int:
        return isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31
    return isinstance(value, shape)
