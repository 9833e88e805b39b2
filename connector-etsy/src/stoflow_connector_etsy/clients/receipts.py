"""What was sold."""

from collections.abc import Mapping
from dataclasses import dataclass

from stoflow_connector_etsy.clients.caller import EtsyCaller, Json
from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_etsy.errors import EtsyRefusedError

PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class ReceiptPage:
    """A page of receipts.

    Attributes:
        count: How many there are in all.
        receipts: Those of the page, as Etsy returned them.
    """

    count: int
    receipts: list[Json]


class ReceiptsClient:
    """Calls the receipt operations; every method may also raise what EtsyCaller does."""

    def __init__(self, caller: EtsyCaller) -> None:
        self._caller = caller

    async def page(self, seller: Seller, offset: int, narrow: Mapping[str, str]) -> ReceiptPage:
        """Returns a page of receipts, the last changed first: what changes meanwhile is then seen twice, not missed."""
        content = await self._caller.get(
            seller,
            f"/shops/{seller.shop_id}/receipts",
            "list the receipts",
            requires="results",
            params={
                **narrow,
                "sort_on": "updated",
                "sort_order": "desc",
                "limit": str(PAGE_SIZE),
                "offset": str(offset),
                "legacy": "false",
            },
        )
        results = [entry for entry in content["results"] if isinstance(entry, Mapping)]
        return ReceiptPage(int(content.get("count") or 0), results)

    async def find(self, seller: Seller, receipt_id: int) -> Json | None:
        """Returns a receipt; None when Etsy says that there is none, which it may have listed all the same."""
        try:
            return await self._caller.get(
                seller,
                f"/shops/{seller.shop_id}/receipts/{receipt_id}",
                f"read receipt {receipt_id}",
                requires="receipt_id",
                params={"legacy": "false"},
            )
        except EtsyRefusedError as error:
            if error.is_absent:
                return None
            raise
