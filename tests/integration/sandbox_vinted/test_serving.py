"""The Vinted sandbox as a process: signing in, keeping state, faults, pages."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from stoflow_sandbox.marketplaces.control import SandboxControlError
from stoflow_sandbox.marketplaces.vinted.control import SeededMember, VintedSandboxControl
from stoflow_sandbox.processes import Supervisor
from tests.integration.sandbox_vinted.conftest import COMMAND
from tests.unit.stoflow_sandbox.marketplaces.vinted_member import TEMP_UUID, png

API = "/api/v2"


def sign_in(http: httpx.Client, member: SeededMember) -> None:
    """Signs in as a person does, by the page, and takes the CSRF token from the next one."""
    form = {"login": member.login, "password": member.password}
    page = http.post("/member/login", data=form, follow_redirects=True)
    found = re.search(r'name="csrf-token" content="([^"]+)"', page.text)
    assert found is not None, page.text
    http.headers["X-CSRF-Token"] = found[1]


def upload(http: httpx.Client) -> int:
    form = {"photo[type]": "item", "photo[temp_uuid]": TEMP_UUID}
    answer = http.post(f"{API}/photos", data=form, files={"photo[file]": ("one.png", png(), "image/png")})
    assert answer.status_code == 200, answer.text
    photo_id: int = answer.json()["id"]
    return photo_id


def body(photo_id: int, title: str = "Blue linen shirt") -> dict[str, Any]:
    item = {
        "id": None,
        "currency": "EUR",
        "temp_uuid": TEMP_UUID,
        "title": title,
        "description": "Worn twice <b>only</b>.",
        "brand_id": None,
        "size_id": 208,
        "catalog_id": 536,
        "status_id": 2,
        "price": 25,
        "package_size_id": 1,
        "color_ids": [9],
        "assigned_photos": [{"id": photo_id, "orientation": 0}],
        "item_attributes": [],
    }
    return {"item": item, "push_up": False, "parcel": None, "upload_session_id": TEMP_UUID}


def test_publish_from_login_to_the_items_page(
    http: httpx.Client, member: SeededMember, control: VintedSandboxControl
) -> None:
    """Login, photo and create give a page that shows title, price and photo, and escapes what was written."""
    sign_in(http, member)
    photo_id = upload(http)
    created = http.post(f"{API}/item_upload/items", json=body(photo_id)).json()["item"]

    page = http.get(created["url"])
    assert all(one in page.text for one in ("Blue linen shirt", "25.00 EUR", f"/photos/{photo_id}"))
    assert "&lt;b&gt;only" in page.text
    assert http.get(f"/photos/{photo_id}").content == png()
    assert control.wardrobe(member.login)["created"] == {"items": {"Blue linen shirt": 1}}
    assert control.item(str(created["id"]))["state"] == "LIVE"


def test_wrong_password_signs_nobody_in(http: httpx.Client, member: SeededMember) -> None:
    """The login page says so, and sets no cookie."""
    answer = http.post("/member/login", data={"login": member.login, "password": "guess"})
    assert (answer.status_code, len(http.cookies)) == (401, 0)


def test_only_a_person_ends_the_captcha(
    http: httpx.Client, member: SeededMember, control: VintedSandboxControl
) -> None:
    """Asked for a captcha, calls are 403 and pages lead to it; the form's button ends it."""
    sign_in(http, member)
    control.ask_captcha(member.login)
    assert http.get(f"{API}/my_orders?type=sold").status_code == 403
    page = http.get("/", follow_redirects=True)
    assert page.url.path == "/captcha"
    http.post("/captcha", data={"csrf_token": http.headers["X-CSRF-Token"]})
    assert http.get(f"{API}/my_orders?type=sold").status_code == 200


def test_signing_out_everywhere_is_401(
    http: httpx.Client, member: SeededMember, control: VintedSandboxControl
) -> None:
    """A session that the site ended is 401, whatever cookie the browser holds."""
    sign_in(http, member)
    control.sign_out(member.login)
    assert http.get(f"{API}/my_orders?type=sold").status_code == 401


def test_lost_answer_leaves_an_item(
    http: httpx.Client, member: SeededMember, control: VintedSandboxControl
) -> None:
    """A reset after the effect loses the answer and keeps the item; the log knows both, and no cookie."""
    sign_in(http, member)
    rule = control.add_fault(
        "reset_after_effect", method="POST", path=f"{API}/item_upload/items", sku="A lost one"
    )
    with pytest.raises(httpx.TransportError):
        http.post(f"{API}/item_upload/items", json=body(upload(http), "A lost one"))
    (entry,) = control.requests(rule_id=rule, wait_count=1)
    assert (entry["outcome"], entry["created"][0]["sku"], entry["seller"]) == (
        "reset",
        "A lost one",
        member.login,
    )
    assert not {"cookie", "x-csrf-token"} & entry["headers"].keys()
    assert control.wardrobe(member.login)["created"] == {"items": {"A lost one": 1}}


def test_wardrobe_outlives_the_process(tmp_path: Path) -> None:
    """With STATE_DIR members, items and photos are there after a restart; sessions are not."""
    environment = {"HTTP_ADDRESS": "127.0.0.1:0", "STATE_DIR": str(tmp_path / "state")}
    with Supervisor(tmp_path) as supervisor:
        service = supervisor.start("vinted", COMMAND, environment)
        url = f"http://{service.wait_ready()['http_address']}"
        with (
            VintedSandboxControl(url) as control,
            httpx.Client(base_url=url, headers={"Origin": url}) as http,
        ):
            sign_in(http, control.seed_member("ann"))
            created = http.post(f"{API}/item_upload/items", json=body(upload(http))).json()["item"]
        service.stop()
        service.start()
        url = f"http://{service.wait_ready()['http_address']}"
        with VintedSandboxControl(url) as control, httpx.Client(base_url=url) as http:
            assert control.item(str(created["id"]))["title"] == "Blue linen shirt"
            assert http.get(f"/photos/{created['photos'][0]['id']}").content == png()
            assert http.get(f"{API}/my_orders?type=sold").status_code == 401


def test_unknown_member_is_named(control: VintedSandboxControl) -> None:
    """A control call about nobody is 404 and says who is missing."""
    with pytest.raises(SandboxControlError, match="no member nobody"):
        control.wardrobe("nobody")
