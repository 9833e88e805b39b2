"""The sandbox as a process: start, settings, keeping state, pages."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from stoflow_sandbox.marketplaces.control import SandboxControl, SandboxControlError
from stoflow_sandbox.processes import Supervisor
from tests.integration.sandbox_ebay.conftest import COMMAND
from tests.integration.sandbox_ebay.ebay_client import INVENTORY, MEDIA, EbayClient, jpeg


def test_publish_from_pictures_to_listing_page(ebay: EbayClient, control: SandboxControl) -> None:
    """Three pictures, item, offer and publish give a page that shows title, price and the pictures
    themselves.
    """
    urls = [ebay.upload(jpeg(color)).json()["imageUrl"] for color in ("red", "green", "blue")]
    body = ebay.item_body()
    body["product"]["imageUrls"] = urls
    assert ebay.put_item("A1", body).status_code == 201
    listing_id = ebay.publish(ebay.create_offer("A1").json()["offerId"]).json()["listingId"]

    listing = control.listing(listing_id)
    page = ebay.http.get(listing["url"])

    assert (listing["status"], listing["imageUrls"]) == ("ACTIVE", urls)
    assert page.status_code == 200
    for expected in ("Blue linen shirt", "25.00 USD", *urls):
        assert expected in page.text
    picture = ebay.http.get(urls[0])
    assert (picture.headers["content-type"], picture.content) == ("image/jpeg", jpeg("red"))


def test_expired_token_is_refused_and_refreshing_helps(ebay: EbayClient, control: SandboxControl) -> None:
    """401/1001 after the token's two hours; a new token works; a revoked consent does not refresh."""
    path = f"{INVENTORY}/inventory_item"
    control.expire_access_tokens(ebay.seller.username)
    refused = ebay.call("GET", path)
    assert (refused.status_code, refused.json()["errors"][0]["errorId"]) == (401, 1001)

    ebay.token = ebay.refresh().json()["access_token"]
    assert ebay.call("GET", path).status_code == 200

    control.revoke(ebay.seller.username)
    assert ebay.call("GET", path).status_code == 401
    assert ebay.refresh().json()["error"] == "invalid_grant"


def test_consent_code_connects_a_seller(ebay: EbayClient, control: SandboxControl) -> None:
    """A code from the consent page is exchanged for a token that works."""
    code = control.make_authorization_code(ebay.seller.username)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": "RuName"}
    answer = ebay.http.post("/identity/v1/oauth2/token", data=form, auth=("app", "hush")).json()

    ebay.token = answer["access_token"]

    assert answer["refresh_token_expires_in"] == 47_304_000
    assert ebay.call("GET", f"{INVENTORY}/inventory_item").status_code == 200


def test_sellers_do_not_see_each_other(ebay: EbayClient, control: SandboxControl, http: httpx.Client) -> None:
    """Another seller's item, offer and picture do not exist, under the same SKU either."""
    offer_id = ebay.stage("A1")
    image_id = ebay.upload().headers["location"].rpartition("/")[2]
    other = EbayClient(
        http, control.seed_seller("other-seller", client_id="app", client_secret="hush", reset=True)
    )

    for path in (f"{INVENTORY}/inventory_item/A1", f"{INVENTORY}/offer/{offer_id}", f"{MEDIA}/{image_id}"):
        assert other.call("GET", path).status_code == 404, path
    assert other.stage("A1") != offer_id


def test_picture_cannot_come_from_plain_http(ebay: EbayClient) -> None:
    """create_image_from_url takes https only, and needs a picture at the other end."""
    for url in (ebay.upload().json()["imageUrl"], "https://127.0.0.1:1/a.jpg", "no address"):
        answer = ebay.call("POST", f"{MEDIA}/create_image_from_url", {"imageUrl": url})
        assert (answer.status_code, answer.json()["errors"][0]["errorId"]) == (400, 190204), url


def test_unknown_path_is_ebays_404(ebay: EbayClient) -> None:
    """A path that eBay does not have answers 2002."""
    answer = ebay.call("GET", "/sell/inventory/v1/nothing")

    assert (answer.status_code, answer.json()["errors"][0]["errorId"]) == (404, 2002)


def test_log_holds_no_secret(ebay: EbayClient, control: SandboxControl) -> None:
    """Neither tokens nor the client's secret can be read from the log."""
    ebay.put_item("A1")
    text = str(control.requests(seller=ebay.seller.username))

    assert "A1" in text
    for secret in (ebay.token, ebay.seller.refresh_token, ebay.seller.client_secret):
        assert secret not in text


def test_listings_outlive_a_crash(tmp_path: Path) -> None:
    """With STATE_DIR everything answered before a SIGKILL is there after the next start, pictures too."""
    environment = {"HTTP_ADDRESS": "127.0.0.1:0", "STATE_DIR": str(tmp_path / "state dir")}
    with Supervisor(tmp_path / "run") as supervisor:
        service = supervisor.start("ebay", COMMAND, environment)
        with httpx.Client(base_url=f"http://{service.wait_ready()['http_address']}") as http:
            control = SandboxControl(str(http.base_url))
            ebay = EbayClient(http, control.seed_seller("ann", client_id="app", client_secret="hush"))
            listing_id = ebay.publish(ebay.stage("A1")).json()["listingId"]
            control.close()
        service.kill()

        service.start()
        with httpx.Client(base_url=f"http://{service.wait_ready()['http_address']}") as http:
            ebay = EbayClient(http, ebay.seller)
            offer = ebay.call("GET", f"{INVENTORY}/offer", params={"sku": "A1"}).json()["offers"][0]
            with SandboxControl(str(http.base_url)) as control:
                listing = control.listing(listing_id)
                assert control.created("ann") == {"offers": {"A1": 1}, "listings": {"A1": 1}}
            picture = http.get(httpx.URL(listing["imageUrls"][0]).path)
            other_id = ebay.stage("B1")
    assert (offer["status"], offer["listing"]["listingId"]) == ("PUBLISHED", listing_id)
    assert picture.content == jpeg()
    assert other_id != offer["offerId"]


def test_malformed_settings_are_all_named() -> None:
    """Each malformed variable is named with what it expects, and the exit code is 2."""
    environment = {"HTTP_ADDRESS": "nowhere", "REQUEST_LOG_LIMIT": "0", "ALLOW_HTTP_IMAGE_URLS": "maybe"}
    ended = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=False, timeout=30)

    assert ended.returncode == 2
    for name in environment:
        assert f"{name}: expected" in ended.stderr


def test_taken_port_is_said(sandbox_url: str) -> None:
    """A port that another process has is named with the reason."""
    environment = {"HTTP_ADDRESS": sandbox_url.removeprefix("http://")}
    ended = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=False, timeout=30)

    assert ended.returncode == 2
    assert "HTTP_ADDRESS: cannot listen" in ended.stderr


def test_held_answer_does_not_keep_the_sandbox_running(tmp_path: Path) -> None:
    """SIGTERM ends the process within its grace period while an answer is held."""
    with Supervisor(tmp_path) as supervisor:
        service = supervisor.start("ebay", COMMAND, {"HTTP_ADDRESS": "127.0.0.1:0"})
        url = f"http://{service.wait_ready()['http_address']}"
        with SandboxControl(url) as control:
            control.add_fault("hold", apply="never", times=None)
            with pytest.raises(httpx.ReadTimeout):
                httpx.get(f"{url}/sell/account/v1/privilege", timeout=0.1)
            sender = subprocess.Popen(
                [sys.executable, "-c", f"import httpx; httpx.get('{url}/x', timeout=None)"]
            )
            try:
                control.requests(path="/x", timeout=5)
                service.stop(grace_seconds=8)
            finally:
                sender.kill()
                sender.wait()
        assert service.returncode != -9


def test_unknown_seller_is_said(control: SandboxControl) -> None:
    """State of a seller that nobody seeded is an error, not an empty answer."""
    with pytest.raises(SandboxControlError, match="no seller nobody"):
        control.state("nobody")
