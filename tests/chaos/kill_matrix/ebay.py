"""eBay in the kill matrix."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx
from stoflow.catalog.v1.product_pb2 import CONDITION_VERY_GOOD, AttributeValues, ProductContent
from stoflow.common.v1.money_pb2 import Money

from stoflow_sandbox.marketplaces.control import AsyncSandboxControl
from tests.chaos.kill_matrix.market import LIVE, Market, MarketFacts, Seller
from tests.chaos.kill_matrix.rows import TaskRow

SITE = "EBAY_US"
CLIENT_ID = "StoFlow-Chaos"
CLIENT_SECRET = "secret-of-the-chaos-tests"


class EbayMarket(Market):
    """Dresses on EBAY_US."""

    name: ClassVar[str] = "ebay"
    sandbox_module: ClassVar[str] = "stoflow_sandbox.marketplaces.ebay"
    connector_module: ClassVar[str] = "stoflow_connector_ebay"

    def connector_environment(
        self, sandbox_url: str, request_timeout_seconds: float, settle_seconds: float
    ) -> Mapping[str, str]:
        return {
            "EBAY_API_URL": sandbox_url,
            "EBAY_MEDIA_URL": sandbox_url,
            "EBAY_AUTH_URL": sandbox_url,
            "EBAY_IDENTITY_URL": sandbox_url,
            "EBAY_CONSENT_URL": sandbox_url,
            "EBAY_CLIENT_ID": CLIENT_ID,
            "EBAY_CLIENT_SECRET": CLIENT_SECRET,
            "EBAY_REQUEST_TIMEOUT_SECONDS": f"{request_timeout_seconds:g}",
            "EBAY_SETTLE_SECONDS": f"{settle_seconds:g}",
        }

    def product(self, sku: str, marketplace: str) -> ProductContent:
        attributes = {"Size": "M", "Color": "Blue", "Department": "Women"}
        return ProductContent(
            sku=sku,
            title="Linen dress",
            description="Worn twice.",
            price=Money(currency_code="USD", amount_minor=3900),
            stock_quantity=1,
            brand="Atelier Chaos",
            category="clothing/women/dresses",
            condition=CONDITION_VERY_GOOD,
            attributes={name: AttributeValues(values=[value]) for name, value in attributes.items()},
        )

    async def open_seller(self, control: AsyncSandboxControl, username: str) -> Seller:
        seeded = await control.seed_seller(
            username, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, marketplaces=[SITE]
        )
        settings = {SITE: {**seeded.policies[SITE], "merchantLocationKey": seeded.locations[0]}}
        return Seller(username, seeded.refresh_token, SITE, settings)

    async def edit_as_seller(
        self, control: AsyncSandboxControl, seller: Seller, sku: str
    ) -> Mapping[str, Any]:
        text = "A small stain."
        async with httpx.AsyncClient(base_url=control.base_url, trust_env=False) as client:
            grant = {"grant_type": "refresh_token", "refresh_token": seller.refresh_token}
            answer = await client.post(
                "/identity/v1/oauth2/token", data=grant, auth=(CLIENT_ID, CLIENT_SECRET)
            )
            headers = {
                "authorization": f"Bearer {answer.raise_for_status().json()['access_token']}",
                "accept-language": "en-US",
                "content-language": "en-US",
            }
            path = f"/sell/inventory/v1/inventory_item/{sku}"
            item = (await client.get(path, headers=headers)).raise_for_status().json()
            item["conditionDescription"] = text
            (await client.put(path, headers=headers, json=item)).raise_for_status()
        return {"condition_description": text}

    async def gather(
        self, control: AsyncSandboxControl, seller: Seller, sku: str, rows: tuple[TaskRow, ...]
    ) -> MarketFacts:
        state = (await control.state(seller.username))["sellers"][seller.username]
        log = await control.requests(seller=seller.username)
        listings = [listing for listing in state["listings"].values() if listing["sku"] == sku]
        states = [LIVE if listing["status"] == "ACTIVE" else listing["status"] for listing in listings]
        return MarketFacts(
            created={
                "offer": state["created"].get("offers", {}).get(sku, 0),
                "listing": state["created"].get("listings", {}).get(sku, 0),
                "offer in the request log": _count_created(log, "offer.created", sku),
                "listing in the request log": _count_created(log, "listing.created", sku),
            },
            remote_ids={
                "offer": tuple(key for key, offer in state["offers"].items() if offer["sku"] == sku),
                "listing": tuple(listing["listingId"] for listing in listings),
            },
            listing_state=states[0] if states else "NONE",
            picture_digests=await _picture_digests(listings[0]["imageUrls"] if listings else []),
            sends={
                row.task: len(
                    await control.requests(
                        seller=seller.username,
                        kind="request",
                        method=row.request.method,
                        path=row.request.path,
                    )
                )
                for row in rows
                if row.once and row.request is not None
            },
            shown=_shown(listings[0]) if listings else {},
        )


def _shown(listing: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": listing["title"],
        "price_minor": round(float(listing["price"]["value"]) * 100),
        "quantity": listing["quantity"],
        "condition_description": listing["conditionDescription"],
    }


def _count_created(log: list[dict[str, Any]], kind: str, sku: str) -> int:
    return sum(
        created["kind"] == kind and created["sku"] == sku for entry in log for created in entry["created"]
    )


async def _picture_digests(urls: list[str]) -> tuple[str, ...]:
    async with httpx.AsyncClient(trust_env=False) as client:
        return tuple([hashlib.sha256((await client.get(url)).content).hexdigest() for url in urls])
