"""Every answer of the Etsy sandbox, in a real process, conforms to Etsy's official document."""

import sys
import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest

from stoflow_sandbox.marketplaces.etsy.control import EtsySandboxControl
from stoflow_sandbox.marketplaces.etsy.routes import OPERATIONS
from stoflow_sandbox.processes import Supervisor
from tests.contract.etsy_openapi import EtsyContractChecker
from tests.integration.sandbox_etsy.etsy_client import DRESSES, EtsyClient


@pytest.fixture(scope="module")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a sandbox for this module."""
    command = [sys.executable, "-m", "stoflow_sandbox.marketplaces.etsy"]
    with Supervisor(tmp_path_factory.mktemp("etsy-contract")) as supervisor:
        service = supervisor.start("etsy", command, {"HTTP_ADDRESS": "127.0.0.1:0"})
        yield f"http://{service.wait_ready()['http_address']}"


@pytest.fixture
def control(sandbox_url: str) -> Iterator[EtsySandboxControl]:
    with EtsySandboxControl(sandbox_url) as client:
        yield client
        client.clear_faults()


@pytest.fixture
def checker() -> EtsyContractChecker:
    """A checker that counts for one test only; without the document what uses it skips."""
    checker = EtsyContractChecker()
    if reason := checker.absent_reason:
        pytest.skip(reason)
    return checker


@pytest.fixture
def etsy(sandbox_url: str, control: EtsySandboxControl, checker: EtsyContractChecker) -> Iterator[EtsyClient]:
    """A client whose every exchange is judged."""

    def judge(response: httpx.Response) -> None:
        response.read()
        response.request.read()
        if checker.covers(response.request.url.path):
            checker.check(response.request, response)

    name = f"seller-{uuid.uuid4().hex}"
    shop = control.seed_shop(name, client_id=f"key-{name}", client_secret="hush")
    with httpx.Client(base_url=sandbox_url, event_hooks={"response": [judge]}) as http:
        yield EtsyClient(http, shop)


def test_every_operation_conforms(
    etsy: EtsyClient, control: EtsySandboxControl, checker: EtsyContractChecker
) -> None:
    """A walk through all operations served: both sides of every exchange conform to the document."""
    shop = etsy.shop
    etsy.call("GET", "/openapi-ping")
    assert etsy.call("GET", "/users/me").json()["shop_id"] == shop.shop_id
    etsy.call("GET", f"/users/{shop.user_id}/shops")
    etsy.shop_call("GET", "")
    for path in ("/shipping-profiles", "/policies/return", "/readiness-state-definitions"):
        assert etsy.shop_call("GET", path).json()["count"] == 1
    etsy.call("GET", "/seller-taxonomy/nodes")
    size = etsy.call("GET", f"/seller-taxonomy/nodes/{DRESSES}/properties").json()["results"][0]
    listing_id = etsy.publish()
    value = {"value_ids": size["possible_values"][0]["value_id"], "values": "XS", "scale_id": 301}
    path = f"/listings/{listing_id}/properties"
    assert etsy.shop_call("PUT", f"{path}/{size['property_id']}", data=value).status_code == 200
    assert etsy.shop_call("GET", path).json()["count"] == 1
    second = etsy.upload(listing_id, "red", rank=2).json()["listing_image_id"]
    etsy.call("GET", f"/listings/{listing_id}/images/{second}")
    assert len(etsy.images(listing_id)) == 2
    assert etsy.shop_call("DELETE", f"/listings/{listing_id}/images/{second}").status_code == 204
    etsy.call("GET", f"/listings/{listing_id}/inventory")
    everything = {"includes": "Shipping,Images,Inventory,Videos", "limit": 10, "state": "active"}
    assert etsy.shop_call("GET", "/listings", params=everything).json()["count"] == 1
    etsy.call("GET", "/listings/batch", params={"listing_ids": f"{listing_id},1", "includes": "Images"})
    etsy.listing(listing_id)
    receipt_id = control.buy(shop.username, {"listing_id": listing_id, "quantity": 2})
    control.change_receipt(shop.username, receipt_id, "ship")
    control.change_receipt(shop.username, receipt_id, "refund", amount_minor=100)
    assert etsy.shop_call("GET", "/receipts", params={"sort_on": "updated"}).json()["count"] == 1
    etsy.shop_call("GET", f"/receipts/{receipt_id}")
    found = etsy.shop_call("GET", f"/receipts/{receipt_id}/transactions").json()["results"]
    etsy.shop_call("GET", "/transactions")
    etsy.shop_call("GET", f"/transactions/{found[0]['transaction_id']}")
    assert etsy.patch(listing_id, title="Linen dress", state="active").json()["quantity"] == 1
    assert etsy.call("DELETE", f"/listings/{listing_id}").status_code == 204

    succeeded = {name for name, statuses in checker.report().items() if any(s < "300" for s in statuses)}
    assert succeeded == {operation.name for operation in OPERATIONS} | {"token"}


REFUSALS: dict[str, tuple[int, Callable[[EtsyClient], httpx.Response]]] = {
    "unknown listing": (404, lambda etsy: etsy.call("GET", "/listings/1")),
    "unknown listing deleted": (404, lambda etsy: etsy.call("DELETE", "/listings/1")),
    "draft with a wrong title": (400, lambda etsy: etsy.create_draft(title="::")),
    "draft of another's profile": (400, lambda etsy: etsy.create_draft(shipping_profile_id=1)),
    "activation without an image": (400, lambda etsy: etsy.patch(etsy.draft(), state="active")),
    "draft made inactive": (409, lambda etsy: etsy.patch(etsy.draft(), state="inactive")),
    "nothing in stock": (
        400,
        lambda etsy: etsy.put_inventory(etsy.draft(), etsy.inventory_body(quantity=0)),
    ),
    "inventory of an unknown listing": (404, lambda etsy: etsy.put_inventory(1)),
    "unknown image": (404, lambda etsy: etsy.shop_call("DELETE", f"/listings/{etsy.draft()}/images/1")),
    "unknown taxonomy": (404, lambda etsy: etsy.call("GET", "/seller-taxonomy/nodes/2/properties")),
    "unknown receipt": (404, lambda etsy: etsy.shop_call("GET", "/receipts/1")),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_conform(etsy: EtsyClient, name: str) -> None:
    """A refused call answers a documented status in Etsy's error shape."""
    status, ask = REFUSALS[name]

    answer = ask(etsy)

    assert answer.status_code == status, answer.text


def test_another_sellers_shop_is_refused_in_shape(etsy: EtsyClient, control: EtsySandboxControl) -> None:
    """What belongs to another seller is 403, in a shape that the document has."""
    neighbour = control.seed_shop("neighbour", client_id="key-neighbour", client_secret="hush")

    assert etsy.call("GET", f"/shops/{neighbour.shop_id}/receipts").status_code == 403


def test_refusals_in_front_conform(etsy: EtsyClient, control: EtsySandboxControl) -> None:
    """A used-up limit, an injected failure and an ended token answer in Etsy's shape too."""
    username = etsy.shop.username
    control.add_fault("status", seller=username, status=500)
    assert etsy.call("GET", "/users/me").status_code == 500
    control.set_limits(seller=username, per_day=5, used_today=5)
    assert etsy.call("GET", "/users/me").status_code == 429
    control.set_limits(seller=username, per_day=500)
    control.expire_access_tokens(username)
    assert etsy.call("GET", "/users/me").status_code == 401
