"""Every answer of the eBay sandbox, in a real process, conforms to eBay's official documents."""

import sys
import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest

from stoflow_sandbox.marketplaces.control import SandboxControl
from stoflow_sandbox.processes import Supervisor
from tests.contract.openapi import ContractChecker
from tests.integration.sandbox_ebay.ebay_client import INVENTORY, MEDIA, EbayClient

ACCOUNT = "/sell/account/v1"
TREE = "/commerce/taxonomy/v1/category_tree/0"
CONDITIONS = "/sell/metadata/v1/marketplace/EBAY_US/get_item_condition_policies"


@pytest.fixture(scope="module")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a sandbox for this module."""
    command = [sys.executable, "-m", "stoflow_sandbox.marketplaces.ebay"]
    with Supervisor(tmp_path_factory.mktemp("ebay-contract")) as supervisor:
        service = supervisor.start("ebay", command, {"HTTP_ADDRESS": "127.0.0.1:0"})
        yield f"http://{service.wait_ready()['http_address']}"


@pytest.fixture
def control(sandbox_url: str) -> Iterator[SandboxControl]:
    with SandboxControl(sandbox_url) as client:
        yield client
        client.clear_faults()


@pytest.fixture
def checker(contract_checker: ContractChecker) -> ContractChecker:
    """A checker that counts for one test only."""
    return ContractChecker(contract_checker.folder)


@pytest.fixture
def ebay(sandbox_url: str, control: SandboxControl, checker: ContractChecker) -> Iterator[EbayClient]:
    """A client whose every exchange is judged."""

    def judge(response: httpx.Response) -> None:
        response.read()
        response.request.read()
        if checker.covers(response.request.url.path):
            checker.check(response.request, response)

    seller = control.seed_seller(f"seller-{uuid.uuid4().hex}", client_id="app", client_secret="hush")
    with httpx.Client(base_url=sandbox_url, event_hooks={"response": [judge]}) as http:
        yield EbayClient(http, seller)


def test_publish_walk_conforms(ebay: EbayClient, checker: ContractChecker) -> None:
    """Pictures, item, offer, publish, updates, reads and the end: both sides of every exchange conform."""
    image = ebay.upload()
    assert ebay.call("GET", f"{MEDIA}/{image.headers['location'].rpartition('/')[2]}").status_code == 200
    assert ebay.put_item("A1").status_code == 201
    assert ebay.put_item("A1").status_code == 204
    offer_id = ebay.create_offer("A1").json()["offerId"]
    assert ebay.create_offer("A1").status_code == 400
    ebay.call("GET", f"{INVENTORY}/offer/{offer_id}")
    assert ebay.publish(offer_id).status_code == 200
    assert ebay.publish(offer_id).status_code == 200
    ebay.call("GET", f"{INVENTORY}/offer/{offer_id}")
    ebay.call("GET", f"{INVENTORY}/offer", params={"sku": "A1", "marketplace_id": "EBAY_US", "limit": "10"})
    ebay.call("GET", f"{INVENTORY}/inventory_item/A1")
    ebay.call("GET", f"{INVENTORY}/inventory_item", params={"limit": "1", "offset": "0"})
    body = {
        key: value
        for key, value in ebay.offer_body("A1").items()
        if key not in ("sku", "marketplaceId", "format")
    }
    assert ebay.call("PUT", f"{INVENTORY}/offer/{offer_id}", body).status_code == 200
    change = {"offerId": offer_id, "availableQuantity": 1, "price": {"currency": "USD", "value": "9.99"}}
    bulk = {"requests": [{"sku": "A1", "shipToLocationAvailability": {"quantity": 1}, "offers": [change]}]}
    assert ebay.call("POST", f"{INVENTORY}/bulk_update_price_quantity", bulk).status_code == 200
    assert ebay.call("POST", f"{INVENTORY}/offer/{offer_id}/withdraw").status_code == 200
    assert ebay.call("DELETE", f"{INVENTORY}/offer/{offer_id}").status_code == 204
    assert ebay.call("DELETE", f"{INVENTORY}/inventory_item/A1").status_code == 204

    assert checker.report() == {
        "bulkUpdatePriceQuantity": {"200": 1},
        "createImageFromFile": {"201": 3},
        "createOffer": {"201": 1, "400": 1},
        "createOrReplaceInventoryItem": {"201": 1, "204": 1},
        "deleteInventoryItem": {"204": 1},
        "deleteOffer": {"204": 1},
        "getImage": {"200": 1},
        "getInventoryItem": {"200": 1},
        "getInventoryItems": {"200": 1},
        "getOffer": {"200": 2},
        "getOffers": {"200": 1},
        "publishOffer": {"200": 2},
        "token": {"200": 1},
        "updateOffer": {"200": 1},
        "withdrawOffer": {"200": 1},
    }


def test_seller_setup_and_reference_data_conform(ebay: EbayClient, checker: ContractChecker) -> None:
    """Policies, privileges, programs, locations, categories, aspects and conditions conform."""
    for kind in ("fulfillment", "payment", "return"):
        answer = ebay.call("GET", f"{ACCOUNT}/{kind}_policy", params={"marketplace_id": "EBAY_US"})
        assert answer.json()["total"] == 1
    assert ebay.call("GET", f"{ACCOUNT}/privilege").status_code == 200
    assert (
        ebay.call("POST", f"{ACCOUNT}/program/opt_in", {"programType": "OUT_OF_STOCK_CONTROL"}).status_code
        == 200
    )
    assert len(ebay.call("GET", f"{ACCOUNT}/program/get_opted_in_programs").json()["programs"]) == 2
    location = {
        "location": {"address": {"country": "US", "postalCode": "10001", "stateOrProvince": "NY"}},
        "phone": "1",
    }
    assert ebay.call("POST", f"{INVENTORY}/location/ny", location).status_code == 204
    assert ebay.call("POST", f"{INVENTORY}/location/ny", location).status_code == 409
    for path in ("location/ny", "location"):
        assert ebay.call("GET", f"{INVENTORY}/{path}").status_code == 200
    for action in ("disable", "enable"):
        assert ebay.call("POST", f"{INVENTORY}/location/ny/{action}").status_code == 200
    assert ebay.call("DELETE", f"{INVENTORY}/location/ny").status_code == 204
    default = "/commerce/taxonomy/v1/get_default_category_tree_id"
    assert ebay.call("GET", default, params={"marketplace_id": "EBAY_US"}).json()["categoryTreeId"] == "0"
    suggestions = ebay.call("GET", f"{TREE}/get_category_suggestions", params={"q": "linen shirt"})
    leaf = suggestions.json()["categorySuggestions"][0]["category"]["categoryId"]
    assert ebay.call("GET", f"{TREE}/get_category_suggestions", params={"q": "qwertz"}).status_code == 204
    aspects = ebay.call("GET", f"{TREE}/get_item_aspects_for_category", params={"category_id": leaf})
    assert aspects.status_code == 200
    conditions = ebay.call("GET", CONDITIONS, params={"filter": f"categoryIds:{{{leaf}|424242}}"})
    assert [one["errorId"] for one in conditions.json()["warnings"]] == [46003]

    assert len(checker.report()) == 17


REFUSALS: dict[str, tuple[int, Callable[[EbayClient], httpx.Response]]] = {
    "unknown item": (404, lambda ebay: ebay.call("GET", f"{INVENTORY}/inventory_item/GHOST")),
    "unknown item deleted": (404, lambda ebay: ebay.call("DELETE", f"{INVENTORY}/inventory_item/GHOST")),
    "unusable SKU": (400, lambda ebay: ebay.put_item("x" * 51)),
    "offer of an unknown item": (400, lambda ebay: ebay.create_offer("GHOST")),
    "unknown offer": (404, lambda ebay: ebay.call("GET", f"{INVENTORY}/offer/1")),
    "no offers": (404, lambda ebay: ebay.call("GET", f"{INVENTORY}/offer", params={"sku": "GHOST"})),
    "publish of an unknown offer": (404, lambda ebay: ebay.publish("1")),
    "withdraw of an unknown offer": (404, lambda ebay: ebay.call("POST", f"{INVENTORY}/offer/1/withdraw")),
    "bad paging": (400, lambda ebay: ebay.call("GET", f"{INVENTORY}/inventory_item", params={"limit": "0"})),
    "bulk of an unknown item": (
        207,
        lambda ebay: ebay.call(
            "POST", f"{INVENTORY}/bulk_update_price_quantity", {"requests": [{"sku": "GHOST"}]}
        ),
    ),
    "no picture": (400, lambda ebay: ebay.upload(b"text")),
    "picture over http": (
        400,
        lambda ebay: ebay.call("POST", f"{MEDIA}/create_image_from_url", {"imageUrl": "http://x/y.jpg"}),
    ),
    "unknown picture": (404, lambda ebay: ebay.call("GET", f"{MEDIA}/none")),
    "unknown location": (404, lambda ebay: ebay.call("GET", f"{INVENTORY}/location/attic")),
    "policies of no site": (
        400,
        lambda ebay: ebay.call("GET", f"{ACCOUNT}/payment_policy", params={"marketplace_id": "EBAY_MARS"}),
    ),
    "program joined twice": (
        409,
        lambda ebay: ebay.call(
            "POST", f"{ACCOUNT}/program/opt_in", {"programType": "SELLING_POLICY_MANAGEMENT"}
        ),
    ),
    "aspects of a branch": (
        400,
        lambda ebay: ebay.call(
            "GET", f"{TREE}/get_item_aspects_for_category", params={"category_id": "1059"}
        ),
    ),
    "conditions by a wrong filter": (
        400,
        lambda ebay: ebay.call("GET", CONDITIONS, params={"filter": "shoes"}),
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_conform(ebay: EbayClient, name: str) -> None:
    """A refused call answers a documented status in eBay's error shape."""
    status, ask = REFUSALS[name]

    assert ask(ebay).status_code == status


def test_refused_publish_conforms(ebay: EbayClient) -> None:
    """The many errors of an offer that is not ready fit the document's error."""
    body = ebay.item_body()
    body["product"]["imageUrls"] = []
    ebay.put_item("A1", body)

    answer = ebay.publish(ebay.create_offer("A1").json()["offerId"])

    assert (answer.status_code, answer.json()["errors"][0]["errorId"]) == (400, 25014)


def test_injected_errors_conform(ebay: EbayClient, control: SandboxControl) -> None:
    """An injected 500 has the API's own system error, and a 401 comes in eBay's shape."""
    username = ebay.seller.username
    control.add_fault("status", seller=username, status=500)
    assert ebay.call("GET", f"{INVENTORY}/offer/1").json()["errors"][0]["errorId"] == 25001
    control.add_fault("status", seller=username, status=500)
    assert ebay.upload().json()["errors"][0]["errorId"] == 190000
    control.expire_access_tokens(username)
    assert ebay.call("GET", f"{INVENTORY}/offer/1").status_code == 401


def test_orders_and_identity_conform(
    ebay: EbayClient, control: SandboxControl, checker: ContractChecker
) -> None:
    """Orders in lists and by themselves, from purchase to cancellation, and the seller's identity conform."""
    username = ebay.seller.username
    listing_id = ebay.publish(ebay.stage("A2")).json()["listingId"]
    placed = control.place_order(username, listing_id, quantity=1)
    order = f"/sell/fulfillment/v1/order/{placed['orderId']}"
    for change in (
        {},
        {"fulfillment": "FULFILLED"},
        {"cancellation": "REQUESTED"},
        {"cancellation": "COMPLETED"},
    ):
        control.change_order(username, placed["orderId"], **change)
        listed = ebay.call("GET", "/sell/fulfillment/v1/order", params={"limit": "200", "offset": "0"})
        assert [one["orderId"] for one in listed.json()["orders"]] == [placed["orderId"]]
        assert ebay.call("GET", order).json()["orderId"] == placed["orderId"]
    assert ebay.call("GET", "/sell/fulfillment/v1/order", params={"limit": "201"}).status_code == 400
    assert ebay.call("GET", "/commerce/identity/v1/user").json()["username"] == username
    assert checker.report()["getOrders"] == {"200": 4, "400": 1}
    assert checker.report()["getOrder"] == {"200": 4}
    assert checker.report()["getUser"] == {"200": 1}


def test_quotas_and_signing_keys_conform(
    ebay: EbayClient, control: SandboxControl, checker: ContractChecker
) -> None:
    """What is left of the quotas, of the application and of a seller, and the key of notifications conform."""
    username = ebay.seller.username
    form = {"grant_type": "client_credentials", "scope": "https://api.ebay.com/oauth/api_scope"}
    answer = ebay.http.post("/identity/v1/oauth2/token", data=form, auth=("app", "hush"))
    application = {"Authorization": f"Bearer {answer.json()['access_token']}", "Accept-Language": "en-US"}
    analytics = "/developer/analytics/v1_beta"
    limits = ebay.http.get(f"{analytics}/rate_limit", headers=application).json()["rateLimits"]
    (rate,) = next(one for one in limits if one["apiName"] == "inventory")["resources"][0]["rates"]
    assert (rate["limit"], rate["timeWindow"]) == (2_000_000, 86_400)
    assert ebay.call("GET", f"{analytics}/user_rate_limit").status_code == 204
    control.set_quota("sell.inventory", 1, seller=username)
    assert ebay.call("GET", f"{INVENTORY}/inventory_item").status_code == 200
    assert ebay.call("GET", f"{INVENTORY}/inventory_item").status_code == 429
    (limit,) = ebay.call("GET", f"{analytics}/user_rate_limit").json()["rateLimits"]
    assert limit["resources"][0]["rates"][0]["remaining"] == 0
    unknown = ebay.http.get("/commerce/notification/v1/public_key/none", headers=application)
    assert unknown.json()["errors"][0]["errorId"] == 195001
    assert checker.report()["getUserRateLimits"] == {"200": 1, "204": 1}
