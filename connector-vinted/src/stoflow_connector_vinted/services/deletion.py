"""Takes a product's item out of the wardrobe; what is gone already is as good as deleted."""

from stoflow_connector_sdk import ListingChange, ListingState, TaskContext, TaskResult
from stoflow_connector_vinted.clients.vinted import VintedClient
from stoflow_connector_vinted.errors import VintedRefusedError
from stoflow_connector_vinted.mapping import item_listing
from stoflow_connector_vinted.services.items import find_listing


class VintedDeletionService:
    """The step of delete."""

    def __init__(self, vinted: VintedClient, site_url: str) -> None:
        self._vinted = vinted
        self._site_url = site_url

    async def delete_item(self, task: TaskContext) -> TaskResult:
        """Deletes the item, unless it is gone or sold."""
        known = await find_listing(task)
        if known is None:
            return TaskResult({"isGone": True})
        ended = ListingChange(remote_id=known.remote_id, state=ListingState.LISTING_STATE_ENDED)
        try:
            await self._vinted.delete_item(task, known.remote_id)
        except VintedRefusedError as error:
            if not error.is_absent:
                # A sold item cannot be deleted, and no buyer sees it any more.
                item = await self._vinted.find_item(task, known.remote_id)
                if item is not None and not item.get("is_closed"):
                    raise
                if item is not None:
                    sold = item_listing(item, self._site_url)
                    return TaskResult({"itemId": known.remote_id, "isSold": True}, listing=sold)
            return TaskResult({"itemId": known.remote_id, "isGone": True}, listing=ended)
        return TaskResult({"itemId": known.remote_id}, listing=ended)
