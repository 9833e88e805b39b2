"""eBay's errors: ids, domains and messages as in the official catalogues, and the shape they travel in."""

from typing import Any

from stoflow_sandbox.marketplaces.exchange import Reply

EbayError = dict[str, Any]

INVENTORY = ("API_INVENTORY", "REQUEST")
LISTING_HAS = "The eBay listing associated with the inventory item, or the unpublished offer has"

# id: ((domain, category), message). {} is where a rule says more.
CATALOGUE: dict[int, tuple[tuple[str, str], str]] = {
    1001: (("OAuth", "REQUEST"), "Invalid access token"),
    1100: (("ACCESS", "REQUEST"), "Access denied"),
    2001: (("ACCESS", "REQUEST"), "Too many requests."),
    2002: (("ACCESS", "REQUEST"), "Resource not found"),
    2004: (("ACCESS", "REQUEST"), "Invalid request"),
    20401: (("API_ACCOUNT", "REQUEST"), "Missing field {}."),
    20403: (("API_ACCOUNT", "REQUEST"), "Invalid {}."),
    20500: (("API_ACCOUNT", "APPLICATION"), "System error."),
    25001: (("API_INVENTORY", "APPLICATION"), "A system error has occurred. {}"),
    25002: (INVENTORY, "A user error has occurred. {}"),
    25003: (INVENTORY, f"{LISTING_HAS} an invalid price. {{}}"),
    25004: (INVENTORY, f"{LISTING_HAS} an invalid quantity. {{}}"),
    25005: (INVENTORY, f"{LISTING_HAS} an invalid category ID. {{}}"),
    25006: (INVENTORY, f"{LISTING_HAS} an invalid listing option. {{}}"),
    25007: (INVENTORY, f"{LISTING_HAS} invalid data in the associated Fulfillment policy. {{}}"),
    25008: (INVENTORY, f"{LISTING_HAS} invalid data in the associated Payment policy. {{}}"),
    25009: (INVENTORY, f"{LISTING_HAS} invalid data in the associated Return policy. {{}}"),
    25012: (INVENTORY, "Invalid inventory location. {}"),
    25014: (INVENTORY, f"{LISTING_HAS} invalid pictures. {{}}"),
    25015: (INVENTORY, f"{LISTING_HAS} an invalid picture URL. {{}}"),
    25016: (INVENTORY, "The {} value is invalid."),
    25018: (INVENTORY, "Incomplete account information. {}"),
    25019: (INVENTORY, "Cannot revise the listing. {}"),
    25021: (INVENTORY, f"{LISTING_HAS} invalid item condition information. {{}}"),
    25022: (INVENTORY, "Invalid attribute. {}"),
    25026: (INVENTORY, "Selling limit exceeded. {}"),
    25029: (INVENTORY, "{} is required for this category."),
    25702: (INVENTORY, "{} could not be found or is not available in the system."),
    25706: (INVENTORY, "You have provided invalid pagination values. {}."),
    25707: (
        INVENTORY,
        (
            "This is an invalid value for a SKU. Only alphanumeric characters can be used for SKUs, and "
            "their length must not exceed 50 characters."
        ),
    ),
    25709: (INVENTORY, "Invalid value for {}."),
    25710: (
        INVENTORY,
        "We didn't find the resource/entity you are requesting. Please verify the request",
    ),
    25713: (INVENTORY, "This Offer is not available : {}."),
    25755: (INVENTORY, "listingDuration is required for auction offer."),
    25757: (INVENTORY, "auctionStartPrice is required for auction offer."),
    25758: (INVENTORY, "auctionStartPrice and auctionReservePrice are not supported for fixed price offer."),
    25800: (INVENTORY, "Invalid {}."),
    25801: (INVENTORY, "Missing field {}."),
    25802: (INVENTORY, "Input error. {}"),
    25803: (INVENTORY, "{} already exists."),
    25805: (INVENTORY, "{} Not Found."),
    30500: (("API_FULFILLMENT", "APPLICATION"), "System error"),
    30700: (("API_FULFILLMENT", "REQUEST"), "Invalid filter name: {}"),
    30800: (("API_FULFILLMENT", "REQUEST"), "Invalid filter value {}"),
    30810: (("API_FULFILLMENT", "REQUEST"), "Invalid date format"),
    30820: (("API_FULFILLMENT", "REQUEST"), "Start date is missing"),
    30830: (
        ("API_FULFILLMENT", "REQUEST"),
        "Time range between start date and end date must be within '2' years.",
    ),
    30840: (("API_FULFILLMENT", "REQUEST"), "Start date should be before end date"),
    30850: (("API_FULFILLMENT", "REQUEST"), "Start and end dates can't be in the future"),
    31000: (("API_FULFILLMENT", "REQUEST"), "Invalid offset: {}"),
    31100: (("API_FULFILLMENT", "REQUEST"), "Invalid limit: {}"),
    32100: (("API_FULFILLMENT", "REQUEST"), "Invalid order ID: {}"),
    46001: (("API_METADATA", "REQUEST"), "The specified marketplace ID was not found."),
    46002: (
        ("API_METADATA", "REQUEST"),
        "The filter value is invalid. Sample supported values: filter=categoryIds:{{catId1|catId2|catId3}}.",
    ),
    46003: (("API_METADATA", "REQUEST"), "The specified categoryId was not found for the marketplace. {}"),
    62002: (("API_TAXONOMY", "REQUEST"), "Missing marketplace ID."),
    62003: (("API_TAXONOMY", "REQUEST"), "The specified marketplace ID was not found."),
    62004: (("API_TAXONOMY", "REQUEST"), "The specified category tree ID was not found."),
    62005: (
        ("API_TAXONOMY", "REQUEST"),
        "The specified category ID does not belong to specified category tree.",
    ),
    62006: (("API_TAXONOMY", "REQUEST"), "Missing category ID."),
    62007: (
        ("API_TAXONOMY", "REQUEST"),
        "Missing keyword 'q'. Please specify a valid set of keywords that best describes your item.",
    ),
    62008: (("API_TAXONOMY", "REQUEST"), "The specified category ID is the root for the category tree."),
    62009: (("API_TAXONOMY", "REQUEST"), "The specified category ID must be a leaf category."),
    105000: (
        ("API_ANALYTICS", "APPLICATION"),
        (
            "There was a problem with an eBay internal system or process. "
            "Contact eBay developer support for assistance."
        ),
    ),
    190000: (
        ("API_MEDIA", "APPLICATION"),
        (
            "There was a problem with an eBay internal system or process. "
            "Contact eBay developer support for assistance."
        ),
    ),
    190013: (("API_MEDIA", "REQUEST"), "Unauthorized access."),
    190200: (("API_MEDIA", "REQUEST"), "The image resource was not found."),
    190201: (
        ("API_MEDIA", "REQUEST"),
        "The image file size is larger than the limit. Please refer to the documentation.",
    ),
    190202: (
        ("API_MEDIA", "REQUEST"),
        "The supplied image dimensions exceed the limit. Please refer to the documentation.",
    ),
    190203: (
        ("API_MEDIA", "REQUEST"),
        (
            "The supplied image is in a format that is not supported. "
            "Please refer to the documentation for a list of supported formats."
        ),
    ),
    190204: (
        ("API_MEDIA", "REQUEST"),
        "No valid image can be downloaded from the provided imageUrl. Please refer to the documentation.",
    ),
    195000: (
        ("API_NOTIFICATION", "APPLICATION"),
        (
            "There was a problem with an eBay internal system or process. "
            "Contact eBay developer support for assistance."
        ),
    ),
    195001: (("API_NOTIFICATION", "REQUEST"), "The specified key id is invalid."),
    520404: (("API_IDENTITY", "REQUEST"), "Not Found"),
}

LONG_MESSAGES = {
    1001: "Invalid access token. Check the value of the Authorization HTTP request header.",
    1100: "Insufficient permissions to fulfill the request.",
    2001: "The request limit has been reached for the resource.",
    2004: "The request has errors. For help, see the documentation for this API.",
}


def ebay_error(error_id: int, detail: str = "", **parameters: str) -> EbayError:
    """Return one error; `detail` fills the message, `parameters` travel as name and value."""
    (domain, category), template = CATALOGUE[error_id]
    message = template.format(detail).strip()
    error: EbayError = {
        "errorId": error_id,
        "domain": domain,
        "category": category,
        "message": message,
        "longMessage": LONG_MESSAGES.get(error_id, message),
        "parameters": [{"name": name, "value": value} for name, value in parameters.items()],
    }
    if domain == "API_INVENTORY":
        error["subdomain"] = "Selling"
    return error


def refuse(status: int, *errors: EbayError) -> Reply:
    return Reply(status, {"errors": list(errors)})


def system_error_id(path: str) -> int:
    """Return the id of the system error of the API that a path belongs to."""
    if path.startswith("/commerce/media/"):
        return 190000
    beginnings = {
        "/sell/account/": 20500,
        "/sell/fulfillment/": 30500,
        "/developer/analytics/": 105000,
        "/commerce/notification/": 195000,
    }
    return next((number for prefix, number in beginnings.items() if path.startswith(prefix)), 25001)
