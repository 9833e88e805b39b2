"""What steps say of a listing when they are done."""

from collections.abc import Mapping, Sequence
from typing import Any

from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.listing_terms import ListingTerms
from stoflow_connector_ebay.notes import ListingNotes
from stoflow_connector_sdk import ListingChange, ListingState, Money, TaskContext, TaskResult

Warnings = Sequence[Mapping[str, Any]]


def seller_of(terms: ListingTerms, task: TaskContext) -> Seller:
    """Returns on whose behalf, and for which site, a task calls eBay."""
    return Seller(terms.site, task.get_access_token)


def live(
    terms: ListingTerms,
    listing_id: str,
    notes: ListingNotes | None,
    output: Mapping[str, Any] | None = None,
    warnings: Warnings = (),
) -> TaskResult:
    """The listing is live and shows the job's product.

    Args:
        terms: What it shows.
        listing_id: eBay's id.
        notes: What to know again at the next job; None keeps what was noted.
        output: More for the task's output.
        warnings: What eBay remarked.
    """
    url = terms.site.listing_url(listing_id)
    price = terms.content.price
    change = ListingChange(
        remote_id=listing_id,
        url=url,
        state=ListingState.LISTING_STATE_LIVE,
        price=Money(currency_code=price.currency_code, amount_minor=price.amount_minor),
    )
    if notes is not None:
        change.notes.CopyFrom(notes.to_struct())
    return TaskResult(
        with_warnings({"listingId": listing_id, "url": url, **(output or {})}, warnings),
        remote_id=listing_id,
        listing=change,
    )


def ended(listing_id: str, output: Mapping[str, Any]) -> TaskResult:
    """Buyers find the listing no more; an empty id says that none is known."""
    if not listing_id:
        return TaskResult(output)
    change = ListingChange(remote_id=listing_id, state=ListingState.LISTING_STATE_ENDED)
    return TaskResult({"listingId": listing_id, **output}, listing=change)


def with_warnings(values: dict[str, Any], warnings: Warnings) -> dict[str, Any]:
    """Returns an output that keeps what eBay remarked, if anything."""
    return {**values, "warnings": list(warnings)} if warnings else values
