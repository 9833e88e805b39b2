"""A plain HTTP client of the eBay sandbox, written from eBay's documents and from nothing of this project."""

import io
from typing import Any

import httpx
from PIL import Image

from stoflow_sandbox.marketplaces.control import SeededSeller

INVENTORY = "/sell/inventory/v1"
MEDIA = "/commerce/media/v1_beta/image"
LANGUAGES = {"Accept-Language": "en-US", "Content-Language": "en-US"}
SCOPE = "https://api.ebay.com/oauth/api_scope"


def jpeg(color: str = "teal", size: tuple[int, int] = (640, 480)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "JPEG")
    return buffer.getvalue()


class EbayClient:
    """Acts for one seller."""

    def __init__(self, http: httpx.Client, seller: SeededSeller) -> None:
        self.http = http
        self.seller = seller
        self.token = self.refresh().json()["access_token"]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **LANGUAGES}

    def refresh(self) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": self.seller.refresh_token}
        return self.http.post(
            "/identity/v1/oauth2/token",
            data=form,
            auth=(self.seller.client_id, self.seller.client_secret),
        )

    def call(self, method: str, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return self.http.request(method, path, json=json, headers=self.headers, **options)

    def upload(self, content: bytes | None = None) -> httpx.Response:
        file = ("picture.jpg", content or jpeg(), "image/jpeg")
        return self.call("POST", f"{MEDIA}/create_image_from_file", files={"image": file})

    def item_body(self) -> dict[str, Any]:
        return {
            "availability": {"shipToLocationAvailability": {"quantity": 3}},
            "condition": "USED_EXCELLENT",
            "product": {
                "title": "Blue linen shirt",
                "description": "Worn twice.",
                "imageUrls": [self.upload().json()["imageUrl"]],
                "aspects": {"Brand": ["Acme"], "Size": ["M"], "Color": ["Blue"], "Department": ["Men"]},
            },
        }

    def offer_body(self, sku: str) -> dict[str, Any]:
        return {
            "sku": sku,
            "marketplaceId": "EBAY_US",
            "format": "FIXED_PRICE",
            "availableQuantity": 2,
            "categoryId": "57990",
            "includeCatalogProductDetails": False,
            "listingDescription": "Worn twice.",
            "listingDuration": "GTC",
            "listingPolicies": self.seller.policies["EBAY_US"],
            "merchantLocationKey": self.seller.locations[0],
            "pricingSummary": {"price": {"currency": "USD", "value": "25.00"}},
        }

    def put_item(self, sku: str, body: dict[str, Any] | None = None) -> httpx.Response:
        return self.call("PUT", f"{INVENTORY}/inventory_item/{sku}", body or self.item_body())

    def create_offer(self, sku: str, **options: Any) -> httpx.Response:
        return self.call("POST", f"{INVENTORY}/offer", self.offer_body(sku), **options)

    def publish(self, offer_id: str, **options: Any) -> httpx.Response:
        return self.call("POST", f"{INVENTORY}/offer/{offer_id}/publish", **options)

    def stage(self, sku: str) -> str:
        """Make item and offer, and return the offer's id."""
        assert self.put_item(sku).is_success
        offer_id: str = self.create_offer(sku).json()["offerId"]
        return offer_id
