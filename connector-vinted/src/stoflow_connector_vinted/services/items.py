"""Finds the item that shows a job's product."""

from stoflow_connector_sdk import ListingState, ProductListing, TaskContext

_SHOWN = (ListingState.LISTING_STATE_LIVE, ListingState.LISTING_STATE_DRAFT)


async def find_listing(task: TaskContext) -> ProductListing | None:
    """Returns what the orchestrator knows of the product's item: a live one, else the newest."""
    listings = await task.get_listings()
    return next((one for one in listings if one.state in _SHOWN), listings[0] if listings else None)
