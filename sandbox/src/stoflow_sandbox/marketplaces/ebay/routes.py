"""The official paths: which operation each is, who may call it, and the rule that answers."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from stoflow_sandbox.marketplaces.ebay import (
    account,
    images,
    items,
    locations,
    offers,
    orders,
    prices,
    taxonomy,
    users,
)
from stoflow_sandbox.marketplaces.ebay.context import Context
from stoflow_sandbox.marketplaces.ebay.errors import ebay_error, refuse
from stoflow_sandbox.marketplaces.ebay.headers import content_locale, page_links, read_page
from stoflow_sandbox.marketplaces.ebay.notifications import Notary
from stoflow_sandbox.marketplaces.ebay.oauth import (
    ACCOUNT,
    ACCOUNT_READ,
    ASPECTS,
    FULFILLMENT_READ,
    IDENTITY,
    INVENTORY,
    INVENTORY_READ,
    METADATA,
    PUBLIC,
)
from stoflow_sandbox.marketplaces.ebay.quotas import Quotas
from stoflow_sandbox.marketplaces.ebay.state import Seller
from stoflow_sandbox.marketplaces.exchange import Call, Reply


@dataclass(frozen=True, slots=True)
class Request:
    """A call whose sender and headers are in order."""

    call: Call
    path: dict[str, str]
    seller: Seller
    context: Context
    quotas: Quotas

    @property
    def locale(self) -> str:
        return content_locale(self.call) or ""


@dataclass(frozen=True, slots=True)
class PublicRequest:
    """A call that needs no seller, only a token."""

    call: Call
    path: dict[str, str]
    client_id: str
    quotas: Quotas
    notary: Notary
    now: float


SellerRule = Callable[[Request], Reply]
PublicRule = Callable[[PublicRequest], Reply]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. Exactly one of `seller_rule` and `public_rule` is set, but for the two that need I/O."""

    name: str
    method: str
    template: str
    scopes: frozenset[str]
    seller_rule: SellerRule | None = None
    public_rule: PublicRule | None = None
    needs_content_language: bool = False
    has_body: bool = False
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        parts = re.split(r"\{(\w+)\}", self.template)
        source = "".join(
            f"(?P<{part}>[^/]+)" if odd % 2 else re.escape(part) for odd, part in enumerate(parts)
        )
        object.__setattr__(self, "pattern", re.compile(source + "/?"))


def _list_items(request: Request) -> Reply:
    page = read_page(request.call, default_limit=25, highest_limit=200)
    if isinstance(page, dict):
        return refuse(400, page)
    links = page_links(request.call, *page, total=len(request.seller.items), fixed={})
    return items.list_items(request.seller, *page, links)


def _list_offers(request: Request) -> Reply:
    parameters = request.call.parameters
    page = read_page(request.call, default_limit=100, highest_limit=100)
    if isinstance(page, dict):
        return refuse(400, page)
    sku = parameters.get("sku", "")
    found = offers.find_offers(
        request.seller, sku, parameters.get("marketplace_id"), parameters.get("format")
    )
    if isinstance(found, Reply):
        return found
    links = page_links(request.call, *page, total=len(found), fixed={"sku": sku})
    return offers.list_offers(request.seller, found, *page, links)


def _list_locations(request: Request) -> Reply:
    page = read_page(request.call, default_limit=100, highest_limit=100)
    if isinstance(page, dict):
        return refuse(400, page)
    limit, offset = page
    links = {"href": f"{request.call.path}?limit={limit}&offset={offset}"}
    return locations.list_locations(request.seller, limit, offset, links)


def _create_offer(request: Request) -> Reply:
    return offers.create_offer(request.seller, request.call.json, request.locale, request.context)


def _update_offer(request: Request) -> Reply:
    body = request.call.json
    return offers.update_offer(request.seller, request.path["offerId"], body, request.locale, request.context)


def _put_item(request: Request) -> Reply:
    return items.put_item(
        request.seller, request.path["sku"], request.call.json, request.locale, request.context
    )


def _policies(kind: str) -> SellerRule:
    return lambda request: account.list_policies(
        request.seller, kind, request.call.parameters.get("marketplace_id")
    )


def _inventory() -> list[Operation]:
    base = "/sell/inventory/v1"
    return [
        Operation("getInventoryItems", "GET", f"{base}/inventory_item", INVENTORY_READ, _list_items),
        Operation(
            "createOrReplaceInventoryItem", "PUT", f"{base}/inventory_item/{{sku}}", INVENTORY, _put_item,
            needs_content_language=True, has_body=True,
        ),
        Operation(
            "getInventoryItem", "GET", f"{base}/inventory_item/{{sku}}", INVENTORY_READ,
            lambda request: items.get_item(request.seller, request.path["sku"]),
        ),
        Operation(
            "deleteInventoryItem", "DELETE", f"{base}/inventory_item/{{sku}}", INVENTORY,
            lambda request: items.delete_item(request.seller, request.path["sku"], request.context),
        ),
        Operation(
            "createOffer", "POST", f"{base}/offer", INVENTORY, _create_offer,
            needs_content_language=True, has_body=True,
        ),
        Operation("getOffers", "GET", f"{base}/offer", INVENTORY_READ, _list_offers),
        Operation(
            "getOffer", "GET", f"{base}/offer/{{offerId}}", INVENTORY_READ,
            lambda request: offers.get_offer(request.seller, request.path["offerId"]),
        ),
        Operation(
            "updateOffer", "PUT", f"{base}/offer/{{offerId}}", INVENTORY, _update_offer,
            needs_content_language=True, has_body=True,
        ),
        Operation(
            "deleteOffer", "DELETE", f"{base}/offer/{{offerId}}", INVENTORY,
            lambda request: offers.delete_offer(request.seller, request.path["offerId"], request.context),
        ),
        Operation(
            "publishOffer", "POST", f"{base}/offer/{{offerId}}/publish", INVENTORY,
            lambda request: offers.publish_offer(request.seller, request.path["offerId"], request.context),
        ),
        Operation(
            "withdrawOffer", "POST", f"{base}/offer/{{offerId}}/withdraw", INVENTORY,
            lambda request: offers.withdraw_offer(request.seller, request.path["offerId"], request.context),
        ),
        Operation(
            "bulkUpdatePriceQuantity", "POST", f"{base}/bulk_update_price_quantity", INVENTORY,
            lambda request: prices.update_prices(request.seller, request.call.json, request.context),
            has_body=True,
        ),
    ]  # fmt: skip


def _locations() -> list[Operation]:
    base = "/sell/inventory/v1/location"
    key = "merchantLocationKey"
    return [
        Operation("getInventoryLocations", "GET", base, INVENTORY_READ, _list_locations),
        Operation(
            "createInventoryLocation", "POST", f"{base}/{{{key}}}", INVENTORY,
            lambda request: locations.create_location(request.seller, request.path[key], request.call.json),
            has_body=True,
        ),
        Operation(
            "getInventoryLocation", "GET", f"{base}/{{{key}}}", INVENTORY_READ,
            lambda request: locations.get_location(request.seller, request.path[key]),
        ),
        Operation(
            "deleteInventoryLocation", "DELETE", f"{base}/{{{key}}}", INVENTORY,
            lambda request: locations.delete_location(request.seller, request.path[key]),
        ),
        Operation(
            "disableInventoryLocation", "POST", f"{base}/{{{key}}}/disable", INVENTORY,
            lambda request: locations.switch_location(request.seller, request.path[key], "DISABLED"),
        ),
        Operation(
            "enableInventoryLocation", "POST", f"{base}/{{{key}}}/enable", INVENTORY,
            lambda request: locations.switch_location(request.seller, request.path[key], "ENABLED"),
        ),
    ]  # fmt: skip


def _media() -> list[Operation]:
    base = images.MEDIA_PATH
    return [
        Operation("createImageFromFile", "POST", f"{base}/create_image_from_file", INVENTORY),
        Operation("createImageFromUrl", "POST", f"{base}/create_image_from_url", INVENTORY),
        Operation(
            "getImage", "GET", f"{base}/{{image_id}}", INVENTORY,
            lambda request: images.get_image(request.seller, request.path["image_id"], request.context),
        ),
    ]  # fmt: skip


def _account() -> list[Operation]:
    base = "/sell/account/v1"
    return [
        Operation(
            "getFulfillmentPolicies", "GET", f"{base}/fulfillment_policy", ACCOUNT_READ,
            _policies("fulfillment"),
        ),
        Operation("getPaymentPolicies", "GET", f"{base}/payment_policy", ACCOUNT_READ, _policies("payment")),
        Operation("getReturnPolicies", "GET", f"{base}/return_policy", ACCOUNT_READ, _policies("return")),
        Operation(
            "getPrivileges", "GET", f"{base}/privilege", ACCOUNT_READ,
            lambda request: account.get_privileges(request.seller),
        ),
        Operation(
            "getOptedInPrograms", "GET", f"{base}/program/get_opted_in_programs", ACCOUNT_READ,
            lambda request: account.get_programs(request.seller),
        ),
        Operation(
            "optInToProgram", "POST", f"{base}/program/opt_in", ACCOUNT,
            lambda request: account.opt_in(request.seller, request.call.json), has_body=True,
        ),
    ]  # fmt: skip


def _selling() -> list[Operation]:
    base = "/sell/fulfillment/v1/order"
    return [
        Operation(
            "getOrders", "GET", base, FULFILLMENT_READ,
            lambda request: orders.list_orders(request.seller, request.call, request.context.now),
        ),
        Operation(
            "getOrder", "GET", f"{base}/{{orderId}}", FULFILLMENT_READ,
            lambda request: orders.get_order(request.seller, request.path["orderId"]),
        ),
        Operation(
            "getUser", "GET", "/commerce/identity/v1/user", IDENTITY,
            lambda request: users.get_user(request.seller),
        ),
        Operation(
            "getUserRateLimits", "GET", "/developer/analytics/v1_beta/user_rate_limit", INVENTORY_READ,
            lambda request: request.quotas.show(
                "user", request.seller.username, request.call.parameters, request.context.now
            ),
        ),
    ]  # fmt: skip


def _application() -> list[Operation]:
    return [
        Operation(
            "getRateLimits", "GET", "/developer/analytics/v1_beta/rate_limit", PUBLIC,
            public_rule=lambda request: request.quotas.show(
                "app", request.client_id, request.call.parameters, request.now
            ),
        ),
        Operation(
            "getPublicKey", "GET", "/commerce/notification/v1/public_key/{key_id}", PUBLIC,
            public_rule=lambda request: request.notary.show_key(request.path["key_id"]),
        ),
    ]  # fmt: skip


def _reference() -> list[Operation]:
    tree = "/commerce/taxonomy/v1/category_tree/{tree_id}"
    return [
        Operation(
            "getDefaultCategoryTreeId", "GET", "/commerce/taxonomy/v1/get_default_category_tree_id", PUBLIC,
            public_rule=lambda request: taxonomy.get_default_tree(
                request.call.parameters.get("marketplace_id")
            ),
        ),
        Operation(
            "getCategorySuggestions", "GET", f"{tree}/get_category_suggestions", PUBLIC,
            public_rule=lambda request: taxonomy.get_suggestions(
                request.path["tree_id"], request.call.parameters.get("q"), request.call.base_url
            ),
        ),
        Operation(
            "getItemAspectsForCategory", "GET", f"{tree}/get_item_aspects_for_category", ASPECTS,
            public_rule=lambda request: taxonomy.get_aspects(
                request.path["tree_id"], request.call.parameters.get("category_id")
            ),
        ),
        Operation(
            "getItemConditionPolicies", "GET",
            "/sell/metadata/v1/marketplace/{marketplace_id}/get_item_condition_policies", METADATA,
            public_rule=lambda request: taxonomy.get_condition_policies(
                request.path["marketplace_id"], request.call.parameters.get("filter")
            ),
        ),
    ]  # fmt: skip


OPERATIONS = (
    *_inventory(),
    *_locations(),
    *_media(),
    *_account(),
    *_selling(),
    *_application(),
    *_reference(),
)


def find_operation(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    for operation in OPERATIONS:
        if operation.method == method and (match := operation.pattern.fullmatch(path)):
            return operation, match.groupdict()
    return None


def not_found(call: Call) -> Reply:
    return refuse(404, ebay_error(2002, path=call.path))
