"""Brings a product's item up to date, and leaves whatever the product does not speak of; photos stay as they are."""

from stoflow_connector_sdk import (
    EffectOutcome,
    ListingChange,
    ListingState,
    PermanentError,
    TaskContext,
    TaskResult,
    Violation,
)
from stoflow_connector_vinted.clients.vinted import VintedClient
from stoflow_connector_vinted.mapping import changed_item, is_shown, item_listing
from stoflow_connector_vinted.services.items import find_listing


class VintedUpdateService:
    """The step of update."""

    def __init__(self, vinted: VintedClient, site_url: str) -> None:
        self._vinted = vinted
        self._site_url = site_url

    async def update_item(self, task: TaskContext) -> TaskResult:
        """Reads the item, changes what the product says in it, and writes it back whole."""
        known = await find_listing(task)
        if known is None:
            text = "the seller's wardrobe has no item of this product; publish the product first"
            raise PermanentError(
                "There is nothing to update.",
                violations=[Violation("product", text)],
                effect=EffectOutcome.NOT_SENT,
                code="NOT_LISTED",
            )
        item = await self._vinted.find_item(task, known.remote_id)
        if item is None:
            gone = ListingChange(remote_id=known.remote_id, state=ListingState.LISTING_STATE_ENDED)
            return TaskResult({"itemId": known.remote_id, "isGone": True}, listing=gone)
        # A sold one cannot be changed, and need not be.
        if not item.get("is_closed") and not is_shown(task, item):
            item = await self._vinted.update_item(task, known.remote_id, changed_item(task, item))
        return TaskResult({"itemId": known.remote_id}, listing=item_listing(item, self._site_url))
