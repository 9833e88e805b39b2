"""A seller with everything that a listing needs, in memory, for tests of the rules."""

import copy
import io
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from stoflow_sandbox.marketplaces.ebay import images, items, offers
from stoflow_sandbox.marketplaces.ebay.context import Context
from stoflow_sandbox.marketplaces.ebay.pictures import read_picture
from stoflow_sandbox.marketplaces.ebay.sellers import seed_seller
from stoflow_sandbox.marketplaces.ebay.state import Seller, World
from stoflow_sandbox.marketplaces.exchange import Reply

NOW = 1_800_000_000.0
BASE_URL = "http://127.0.0.1:1"
SKU = "SHIRT-1"


def jpeg(color: str = "navy", size: tuple[int, int] = (500, 48)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "JPEG")
    return buffer.getvalue()


@dataclass
class Shop:
    """A seeded seller and the calls of a publish."""

    world: World = field(default_factory=World)
    now: float = NOW
    seller: Seller = field(init=False)

    def __post_init__(self) -> None:
        seed = {
            "username": "ann",
            "client_id": "app",
            "client_secret": "hush",
            "marketplaces": ["EBAY_US", "EBAY_DE"],
        }
        self.seller = seed_seller(self.world, seed)

    @property
    def context(self) -> Context:
        return Context(self.now, self.world.ids, BASE_URL)

    def upload(self) -> str:
        reply = images.create_image(self.seller, read_picture(jpeg()), self.context)
        url: str = reply.content["imageUrl"]
        return url

    def item_body(self) -> dict[str, Any]:
        return {
            "availability": {"shipToLocationAvailability": {"quantity": 3}},
            "condition": "USED_EXCELLENT",
            "product": {
                "title": "Blue linen shirt",
                "description": "Worn twice.",
                "imageUrls": [self.upload()],
                "aspects": {"Brand": ["Acme"], "Size": ["M"], "Color": ["Blue"], "Department": ["Men"]},
            },
        }

    def offer_body(self, marketplace_id: str = "EBAY_US", currency: str = "USD") -> dict[str, Any]:
        policies = {
            f"{policy['kind']}PolicyId": policy["policyId"]
            for policy in self.seller.policies.values()
            if policy["marketplaceId"] == marketplace_id
        }
        return {
            "sku": SKU,
            "marketplaceId": marketplace_id,
            "format": "FIXED_PRICE",
            "availableQuantity": 2,
            "categoryId": "57990",
            "listingDuration": "GTC",
            "listingDescription": "Worn twice.",
            "includeCatalogProductDetails": False,
            "listingPolicies": policies,
            "merchantLocationKey": "main",
            "pricingSummary": {"price": {"currency": currency, "value": "25.00"}},
        }

    def update_body(self, **changes: Any) -> dict[str, Any]:
        body = {
            name: value
            for name, value in self.offer_body().items()
            if name not in ("sku", "marketplaceId", "format")
        }
        return body | changes

    def put_item(self, body: dict[str, Any] | None = None, sku: str = SKU) -> Reply:
        return items.put_item(self.seller, sku, body or self.item_body(), "en_US", self.context)

    def create_offer(self, body: dict[str, Any] | None = None) -> Reply:
        return offers.create_offer(self.seller, body or self.offer_body(), "en_US", self.context)

    def update_offer(self, offer_id: str, body: dict[str, Any]) -> Reply:
        return offers.update_offer(self.seller, offer_id, body, "en_US", self.context)

    def publish(self, offer_id: str) -> Reply:
        return offers.publish_offer(self.seller, offer_id, self.context)

    def withdraw(self, offer_id: str) -> Reply:
        return offers.withdraw_offer(self.seller, offer_id, self.context)

    def stage(self) -> str:
        """Make an item and an offer that can be published, and return the offer's id."""
        assert self.put_item().status in (201, 204)
        reply = self.create_offer()
        assert reply.status == 201, reply.content
        offer_id: str = reply.content["offerId"]
        return offer_id

    def live(self) -> tuple[str, str]:
        """Return the ids of a published offer and its listing."""
        offer_id = self.stage()
        reply = self.publish(offer_id)
        assert reply.status == 200, reply.content
        return offer_id, reply.content["listingId"]

    def snapshot(self) -> Any:
        """Return everything the seller has, to show that a refusal changes nothing."""
        return copy.deepcopy(self.seller)


def error_ids(reply: Reply) -> list[int]:
    return [error["errorId"] for error in reply.content["errors"]]


def parameters(reply: Reply) -> dict[str, str]:
    return {one["name"]: one["value"] for error in reply.content["errors"] for one in error["parameters"]}
