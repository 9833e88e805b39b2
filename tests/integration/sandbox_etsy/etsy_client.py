"""A plain HTTP client of the Etsy sandbox, written from Etsy's documents and from nothing of this project."""

import base64
import hashlib
import io
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from PIL import Image

from stoflow_sandbox.marketplaces.etsy.control import EtsySandboxControl, SeededShop

BASE = "/v3/application"
TOKEN = "/v3/public/oauth/token"
REDIRECT = "http://127.0.0.1:1/callback"
DRESSES = 561
BOOTS = 1446


def jpeg(color: str = "teal", size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "JPEG")
    return buffer.getvalue()


class EtsyClient:
    """Acts for one seller."""

    def __init__(self, http: httpx.Client, shop: SeededShop) -> None:
        self.http = http
        self.shop = shop
        self.refresh_token = shop.refresh_token or ""
        self.access_token = ""
        if self.refresh_token:
            self.refresh()

    @property
    def key(self) -> dict[str, str]:
        return {"x-api-key": f"{self.shop.client_id}:{self.shop.client_secret}"}

    @property
    def headers(self) -> dict[str, str]:
        return {**self.key, "Authorization": f"Bearer {self.access_token}"}

    def refresh(self, refresh_token: str | None = None) -> httpx.Response:
        """Refresh, and go on with what was answered."""
        form = {
            "grant_type": "refresh_token",
            "client_id": self.shop.client_id,
            "refresh_token": refresh_token or self.refresh_token,
        }
        return self._adopt(self.http.post(TOKEN, data=form))

    def exchange(self, code: str, verifier: str, **changes: str) -> httpx.Response:
        form = {
            "grant_type": "authorization_code",
            "client_id": self.shop.client_id,
            "redirect_uri": REDIRECT,
            "code": code,
            "code_verifier": verifier,
        }
        return self._adopt(self.http.post(TOKEN, data=form | changes))

    def _adopt(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            self.access_token = answer.json()["access_token"]
            self.refresh_token = answer.json()["refresh_token"]
        return answer

    def authorization_url(self, verifier: str, **changes: str) -> str:
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.shop.client_id,
            "redirect_uri": REDIRECT,
            "scope": "listings_r listings_w shops_r",
            "state": "superstate",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{str(self.http.base_url).rstrip('/')}/oauth/connect?{urlencode(query | changes)}"

    def authorize(self, control: EtsySandboxControl, verifier: str | None = None) -> tuple[str, str]:
        """Consent; return code and verifier."""
        verifier = verifier or secrets.token_urlsafe(48)
        redirect = control.consent(self.shop.username, self.authorization_url(verifier))
        return parse_qs(urlsplit(redirect).query)["code"][0], verifier

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.http.request(method, BASE + path, headers=self.headers, **options)

    def shop_call(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.call(method, f"/shops/{self.shop.shop_id}{path}", **options)

    def draft_form(self, **changes: Any) -> dict[str, Any]:
        """Return a form that makes a draft; None takes a field out."""
        form: dict[str, Any] = {
            "quantity": 2,
            "title": "Linen summer dress",
            "description": "Worn twice.",
            "price": "39.00",
            "who_made": "someone_else",
            "when_made": "2010_2019",
            "taxonomy_id": DRESSES,
            "shipping_profile_id": self.shop.shipping_profile_ids[0],
            "return_policy_id": self.shop.return_policy_ids[0],
            "readiness_state_id": self.shop.readiness_state_ids[0],
            "tags": "linen,summer dress",
        }
        return {name: value for name, value in (form | changes).items() if value is not None}

    def create_draft(self, **changes: Any) -> httpx.Response:
        return self.shop_call("POST", "/listings", data=self.draft_form(**changes))

    def draft(self, **changes: Any) -> int:
        answer = self.create_draft(**changes)
        assert answer.status_code == 201, answer.text
        listing_id: int = answer.json()["listing_id"]
        return listing_id

    def upload(self, listing_id: int, color: str = "teal", **fields: Any) -> httpx.Response:
        file = ("picture.jpg", jpeg(color), "image/jpeg")
        data = {name: str(value) for name, value in fields.items()}
        return self.shop_call("POST", f"/listings/{listing_id}/images", files={"image": file}, data=data)

    def inventory_body(
        self, sku: str = "DRESS-1", price: float = 39.0, quantity: int = 2, **changes: Any
    ) -> dict[str, Any]:
        offering = {
            "price": price,
            "quantity": quantity,
            "is_enabled": True,
            "readiness_state_id": self.shop.readiness_state_ids[0],
        }
        return {
            "products": [{"sku": sku, "property_values": [], "offerings": [offering]}],
            "price_on_property": [],
            "quantity_on_property": [],
            "sku_on_property": [],
        } | changes

    def put_inventory(self, listing_id: int, body: Mapping[str, Any] | None = None) -> httpx.Response:
        return self.call("PUT", f"/listings/{listing_id}/inventory", json=body or self.inventory_body())

    def patch(self, listing_id: int, **form: Any) -> httpx.Response:
        return self.shop_call("PATCH", f"/listings/{listing_id}", data=form)

    def publish(self, sku: str = "DRESS-1", **draft: Any) -> int:
        """Bring a listing live and return its number."""
        listing_id = self.draft(**draft)
        assert self.upload(listing_id, rank=1).status_code == 201
        assert self.put_inventory(listing_id, self.inventory_body(sku)).status_code == 200
        answer = self.patch(listing_id, state="active")
        assert answer.status_code == 200, answer.text
        return listing_id

    def images(self, listing_id: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", f"/listings/{listing_id}/images").json()["results"]
        return found

    def listing(self, listing_id: int) -> dict[str, Any]:
        answer = self.call("GET", f"/listings/{listing_id}", params={"includes": "Inventory,Images"})
        found: dict[str, Any] = answer.json()
        return found
