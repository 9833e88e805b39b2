"""The official paths: which operation each is, which scopes it needs, and the rule that answers."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from stoflow_sandbox.marketplaces.etsy import (
    drafts,
    images,
    inventory,
    listings,
    properties,
    receipts,
    shop_setup,
    taxonomy,
)
from stoflow_sandbox.marketplaces.etsy.errors import not_found, refuse
from stoflow_sandbox.marketplaces.etsy.paging import read_array, read_page
from stoflow_sandbox.marketplaces.etsy.requests import RefusedError, Request
from stoflow_sandbox.marketplaces.etsy.views import associated_view
from stoflow_sandbox.marketplaces.exchange import Reply

BASE = "/v3/application"
BATCH_SIZE = 100
Rule = Callable[[Request], Reply]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. Without scopes the API key is enough; `rule` is None for the upload, which needs I/O."""

    name: str
    method: str
    template: str
    scopes: frozenset[str]
    rule: Rule | None
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        parts = re.split(r"\{(\w+)\}", BASE + self.template)
        source = "".join(
            f"(?P<{part}>[^/]+)" if odd % 2 else re.escape(part) for odd, part in enumerate(parts)
        )
        object.__setattr__(self, "pattern", re.compile(source))


def _operation(name: str, method: str, template: str, scopes: str, rule: Rule | None) -> Operation:
    return Operation(name, method, template, frozenset(scopes.split()), rule)


def _ping(request: Request) -> Reply:
    return Reply(200, {"application_id": request.app.application_id})


def _me(request: Request) -> Reply:
    return Reply(200, {"user_id": request.caller.user_id, "shop_id": request.caller.shop_id})


def _shop(request: Request) -> Reply:
    since = int(request.context.now)
    return Reply(200, shop_setup.shop_view(request.shop, request.context.base_url, since))


def _shop_of_user(request: Request) -> Reply:
    user_id = request.number("user_id")
    found = [one for one in request.world.sellers.values() if one.user_id == user_id]
    if not found:
        return not_found("user", user_id)
    since = int(request.context.now)
    return Reply(200, shop_setup.shop_view(found[0], request.context.base_url, since))


def _readiness_states(request: Request) -> Reply:
    violations: list[str] = []
    page = read_page(request.call, violations)
    request.refuse_if(violations)
    states = request.own_shop.readiness_states
    return Reply(200, {"count": len(states), "results": page.cut(states)})


def _list_listings(request: Request) -> Reply:
    violations: list[str] = []
    page = read_page(request.call, violations)
    request.refuse_if(violations)
    state = request.call.parameters.get("state", "active")
    return listings.list_listings(request.own_shop, state, page, request.includes, request.context)


def _get_listing(request: Request) -> Reply:
    seller, listing = request.visible_listing
    return Reply(200, associated_view(seller, listing, request.includes, request.context.base_url))


def _batch(request: Request) -> Reply:
    texts = read_array(request.call, "listing_ids")
    if not texts or len(texts) > BATCH_SIZE or not all(text.isdecimal() for text in texts):
        return refuse(400, f"listing_ids: expected 1 to {BATCH_SIZE} positive integers.")
    found = [request.world.find_listing(int(text)) for text in texts]
    visible = [one for one in found if one is not None and request.may_see(*one)]
    return Reply(200, listings.batch_view(visible, request.includes, request.context))


def _visible_images(request: Request) -> Reply:
    return images.list_images(*request.visible_listing, request.context)


def _visible_image(request: Request) -> Reply:
    return images.get_image(*request.visible_listing, request.number("listing_image_id"), request.context)


def _delete_listing(request: Request) -> Reply:
    listing = request.own_listing
    return listings.delete_listing(request.caller, listing)


def _get_inventory(request: Request) -> Reply:
    listing = request.own_listing
    return inventory.get_inventory(request.caller, listing)


def _put_inventory(request: Request) -> Reply:
    listing = request.own_listing
    if request.call.media_type != "application/json":
        raise RefusedError(refuse(400, "Expected application/json."))
    return inventory.replace_inventory(request.caller, listing, request.call.json, request.context)


def _transactions(request: Request) -> Reply:
    violations: list[str] = []
    page = read_page(request.call, violations)
    request.refuse_if(violations)
    return receipts.list_transactions(request.own_shop, page)


_LISTING = "/listings/{listing_id}"
_SHOP_LISTING = "/shops/{shop_id}/listings/{listing_id}"
_RECEIPT = "/shops/{shop_id}/receipts/{receipt_id}"

OPERATIONS = (
    _operation("ping", "GET", "/openapi-ping", "", _ping),
    _operation("getMe", "GET", "/users/me", "shops_r", _me),
    _operation("getShopByOwnerUserId", "GET", "/users/{user_id}/shops", "", _shop_of_user),
    _operation("getShop", "GET", "/shops/{shop_id}", "", _shop),
    _operation(
        "getShopShippingProfiles", "GET", "/shops/{shop_id}/shipping-profiles", "shops_r",
        lambda request: shop_setup.list_of(request.own_shop.shipping_profiles),
    ),
    _operation(
        "getShopReturnPolicies", "GET", "/shops/{shop_id}/policies/return", "shops_r",
        lambda request: shop_setup.list_of(request.own_shop.return_policies),
    ),
    _operation(
        "getShopReadinessStateDefinitions", "GET", "/shops/{shop_id}/readiness-state-definitions", "shops_r",
        _readiness_states,
    ),
    _operation(
        "getSellerTaxonomyNodes", "GET", "/seller-taxonomy/nodes", "", lambda _: taxonomy.get_nodes()
    ),
    _operation(
        "getPropertiesByTaxonomyId", "GET", "/seller-taxonomy/nodes/{taxonomy_id}/properties", "",
        lambda request: taxonomy.get_properties(request.number("taxonomy_id")),
    ),
    _operation(
        "createDraftListing", "POST", "/shops/{shop_id}/listings", "listings_w",
        lambda request: drafts.create_draft(request.own_shop, request.call, request.context),
    ),
    _operation("getListingsByShop", "GET", "/shops/{shop_id}/listings", "listings_r", _list_listings),
    # Before getListing, whose path it would fit.
    _operation("getListingsByListingIds", "GET", "/listings/batch", "", _batch),
    _operation("getListing", "GET", _LISTING, "", _get_listing),
    _operation(
        "updateListing", "PATCH", _SHOP_LISTING, "listings_w",
        lambda request: listings.update_listing(
            request.own_shop, request.own_listing, request.call, request.context
        ),
    ),
    _operation("deleteListing", "DELETE", _LISTING, "listings_d", _delete_listing),
    _operation("uploadListingImage", "POST", f"{_SHOP_LISTING}/images", "listings_w", None),
    _operation("getListingImages", "GET", f"{_LISTING}/images", "", _visible_images),
    _operation("getListingImage", "GET", f"{_LISTING}/images/{{listing_image_id}}", "", _visible_image),
    _operation(
        "deleteListingImage", "DELETE", f"{_SHOP_LISTING}/images/{{listing_image_id}}", "listings_w",
        lambda request: images.remove_image(
            request.own_listing, request.number("listing_image_id"), request.context
        ),
    ),
    _operation("getListingInventory", "GET", f"{_LISTING}/inventory", "listings_r", _get_inventory),
    _operation("updateListingInventory", "PUT", f"{_LISTING}/inventory", "listings_w", _put_inventory),
    _operation(
        "getListingProperties", "GET", f"{_SHOP_LISTING}/properties", "",
        lambda request: properties.list_properties(request.visible_listing[1]),
    ),
    _operation(
        "updateListingProperty", "PUT", f"{_SHOP_LISTING}/properties/{{property_id}}", "listings_w",
        lambda request: properties.set_property(
            request.own_listing, request.number("property_id"), request.call, request.context
        ),
    ),
    _operation(
        "getShopReceipts", "GET", "/shops/{shop_id}/receipts", "transactions_r",
        lambda request: receipts.list_receipts(request.own_shop, request.call),
    ),
    _operation(
        "getShopReceipt", "GET", _RECEIPT, "transactions_r",
        lambda request: receipts.get_receipt(request.own_shop, request.number("receipt_id")),
    ),
    _operation(
        "getShopReceiptTransactionsByReceipt", "GET", f"{_RECEIPT}/transactions", "transactions_r",
        lambda request: receipts.list_receipt_transactions(request.own_shop, request.number("receipt_id")),
    ),
    _operation(
        "getShopReceiptTransactionsByShop", "GET", "/shops/{shop_id}/transactions", "transactions_r",
        _transactions,
    ),
    _operation(
        "getShopReceiptTransaction", "GET", "/shops/{shop_id}/transactions/{transaction_id}", "transactions_r",
        lambda request: receipts.get_transaction(request.own_shop, request.number("transaction_id")),
    ),
)  # fmt: skip


def find_operation(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    for operation in OPERATIONS:
        if operation.method == method and (match := operation.pattern.fullmatch(path)):
            return operation, match.groupdict()
    return None
