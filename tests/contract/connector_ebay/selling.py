"""What a seller has and sells at the sandbox, made without the connector."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from stoflow_connector_sdk.testing import InMemoryOrchestrator, JobRecord
from stoflow_sandbox.marketplaces.control import SandboxControl
from tests.contract.connector_ebay.publishing import Publishing
from tests.integration.sandbox_ebay.ebay_client import INVENTORY, EbayClient

ACCOUNT = "0192f0c3-0000-7000-8000-000000000009"


class Selling:
    """One seller's listings and orders, and the connector that is to find them."""

    def __init__(
        self, control: SandboxControl, orchestrator: InMemoryOrchestrator, publishing: Publishing
    ) -> None:
        self.control = control
        self.orchestrator = orchestrator
        self.publishing = publishing
        self.username = publishing.seller.username
        self._http = httpx.Client(base_url=control.base_url, timeout=10)
        self.ebay = EbayClient(self._http, publishing.seller)

    def close(self) -> None:
        self._http.close()

    def list_product(self, sku: str, pieces: int = 9) -> str:
        """Puts an article up for sale; returns the listing's id."""
        item = self.ebay.item_body()
        item["availability"]["shipToLocationAvailability"]["quantity"] = pieces
        assert self.ebay.put_item(sku, item).is_success
        offer = self.ebay.offer_body(sku) | {"availableQuantity": pieces}
        offer_id = self.ebay.call("POST", f"{INVENTORY}/offer", offer).json()["offerId"]
        listing_id: str = self.ebay.publish(offer_id).json()["listingId"]
        return listing_id

    def buy(self, listing_id: str, **options: Any) -> str:
        """Lets somebody buy; returns the order's id."""
        order_id: str = self.control.place_order(self.username, listing_id, **options)["orderId"]
        return order_id

    def fault(self, kind: str, path: str, **rule: Any) -> str:
        return self.control.add_fault(kind, method="GET", path=path, seller=self.username, **rule)

    async def run(self, action: str, *, max_retries: int = 0, **options: Any) -> JobRecord:
        """Runs a job to its end."""
        job = self.orchestrator.submit(
            self.publishing.definition.manifest(),
            action,
            account_id=ACCOUNT,
            site="EBAY_US",
            account_settings={"EBAY_US": self.publishing.site_settings},
            options=options,
            max_retries=max_retries,
        )
        return await self.orchestrator.wait_for(job)

    def requests(self, operation: str, job_index: int = 0) -> list[dict[str, Any]]:
        """Returns what the connector asked of eBay, by operation."""
        return self.control.requests(seller=self.username, operation=operation)


def new_sku() -> str:
    return f"SKU{uuid.uuid4().hex[:16]}"
