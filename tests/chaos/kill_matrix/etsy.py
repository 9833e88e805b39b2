"""Etsy in the kill matrix."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx
from stoflow.catalog.v1.product_pb2 import (
    CONDITION_VERY_GOOD,
    WHO_MADE_SOMEONE_ELSE,
    AttributeValues,
    MarketplaceOverride,
    Origin,
    ProductContent,
)
from stoflow.common.v1.money_pb2 import Money

from stoflow_sandbox.marketplaces.control import AsyncSandboxControl
from stoflow_sandbox.marketplaces.etsy.control import AsyncEtsySandboxControl
from tests.chaos.kill_matrix.market import LIVE, Market, MarketFacts, Seller
from tests.chaos.kill_matrix.rows import TaskRow

DRESSES = "561"
KEYSTRING = "StoFlow-Chaos"
SHARED_SECRET = "secret-of-the-chaos-tests"
TITLE = "Linen dress"


class EtsyMarket(Market):
    """Dresses in shops where no upload keeps its rank."""

    name: ClassVar[str] = "etsy"
    sandbox_module: ClassVar[str] = "stoflow_sandbox.marketplaces.etsy"
    connector_module: ClassVar[str] = "stoflow_connector_etsy"

    def connector_environment(
        self, sandbox_url: str, request_timeout_seconds: float, settle_seconds: float
    ) -> Mapping[str, str]:
        return {
            "ETSY_API_URL": sandbox_url,
            "ETSY_AUTH_URL": sandbox_url,
            "ETSY_KEYSTRING": KEYSTRING,
            "ETSY_SHARED_SECRET": SHARED_SECRET,
            "ETSY_REQUEST_TIMEOUT_SECONDS": f"{request_timeout_seconds:g}",
            "ETSY_SETTLE_SECONDS": f"{settle_seconds:g}",
        }

    def product(self, sku: str, marketplace: str) -> ProductContent:
        return ProductContent(
            sku=sku,
            title=TITLE,
            description="Worn twice.",
            price=Money(currency_code="USD", amount_minor=3900),
            stock_quantity=1,
            brand="Atelier Chaos",
            category="clothing/women/dresses",
            condition=CONDITION_VERY_GOOD,
            origin=Origin(who_made=WHO_MADE_SOMEONE_ELSE, made_from_year=2012, made_to_year=2014),
            attributes={"Size": AttributeValues(values=["M"])},
            overrides=[MarketplaceOverride(marketplace=marketplace, category_id=DRESSES)],
        )

    async def open_seller(self, control: AsyncSandboxControl, username: str) -> Seller:
        async with AsyncEtsySandboxControl(control.base_url) as etsy:
            shop = await etsy.seed_shop(
                username, client_id=KEYSTRING, client_secret=SHARED_SECRET, rank_mode="front"
            )
        assert shop.refresh_token is not None
        settings = {
            "shopId": str(shop.shop_id),
            "shippingProfileId": str(shop.shipping_profile_ids[0]),
            "returnPolicyId": str(shop.return_policy_ids[0]),
            "readinessStateId": str(shop.readiness_state_ids[0]),
        }
        return Seller(username, shop.refresh_token, "", settings)

    async def edit_as_seller(
        self, control: AsyncSandboxControl, seller: Seller, sku: str
    ) -> Mapping[str, Any]:
        hand = f"hand-of-{seller.username}"
        async with AsyncEtsySandboxControl(control.base_url) as etsy:
            shop = await etsy.seed_shop(
                seller.username, client_id=KEYSTRING, client_secret=SHARED_SECRET, refresh_token=hand
            )
        state = (await control.state(seller.username))["sellers"][seller.username]
        (listing_id,) = [key for key, one in state["listings"].items() if one["skus"] == [sku]]
        async with httpx.AsyncClient(base_url=control.base_url, trust_env=False) as client:
            grant = {"grant_type": "refresh_token", "client_id": KEYSTRING, "refresh_token": hand}
            tokens = (await client.post("/v3/public/oauth/token", data=grant)).raise_for_status().json()
            headers = {
                "authorization": f"Bearer {tokens['access_token']}",
                "x-api-key": f"{KEYSTRING}:{SHARED_SECRET}",
            }
            path = f"/v3/application/shops/{shop.shop_id}/listings/{listing_id}"
            form = {"should_auto_renew": "true"}
            (await client.patch(path, headers=headers, data=form)).raise_for_status()
        return {"should_auto_renew": True}

    async def gather(
        self, control: AsyncSandboxControl, seller: Seller, sku: str, rows: tuple[TaskRow, ...]
    ) -> MarketFacts:
        state = (await control.state(seller.username))["sellers"][seller.username]
        log = await control.requests(seller=seller.username)
        # A stray draft has no SKU: only the inventory gives one.
        listings = [one for one in state["listings"].values() if one["skus"] == [sku]]
        states = [LIVE if one["state"] == "active" else one["state"] for one in listings]
        # From the log, since a deleted listing has left the shop.
        remote_ids = tuple(
            effect["id"]
            for entry in log
            for effect in entry["effects"]
            if effect["kind"] == "listing.activated"
        )
        return MarketFacts(
            created={
                "draft": state["created"]["drafts"].get(TITLE, 0),
                "listing": state["created"]["listings"].get(sku, 0),
                "draft in the request log": _count_effects(log, "listing.created"),
                "listing in the request log": _count_effects(log, "listing.activated"),
            },
            remote_ids={"draft": remote_ids, "listing": remote_ids},
            listing_state=states[0] if states else "NONE",
            picture_digests=await _picture_digests(listings[0]["images"] if listings else []),
            sends={
                "create_draft": _count_requests(log, "createDraftListing"),
                "activate": _count_requests(log, "updateListing", state="active"),
            },
            shown=_shown(listings[0]) if listings else {},
        )


def _shown(listing: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": listing["title"],
        "price_minor": listing["price"]["amount"],
        "quantity": listing["quantity"],
        "should_auto_renew": listing["should_auto_renew"],
    }


def _count_effects(log: list[dict[str, Any]], kind: str) -> int:
    return sum(effect["kind"] == kind for entry in log for effect in entry["effects"])


def _count_requests(log: list[dict[str, Any]], operation: str, **form: str) -> int:
    return sum(
        (entry["kind"], entry["operation"]) == ("request", operation)
        and form.items() <= (entry["body"] or {}).items()
        for entry in log
    )


async def _picture_digests(images: list[dict[str, Any]]) -> tuple[str, ...]:
    urls = [image["url_fullxfull"] for image in images]
    async with httpx.AsyncClient(trust_env=False) as client:
        return tuple([hashlib.sha256((await client.get(url)).content).hexdigest() for url in urls])
