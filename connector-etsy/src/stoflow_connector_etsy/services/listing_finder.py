"""Finds the listing that a job is about: Etsy has no search by SKU."""

from collections.abc import AsyncIterator, Iterable

from stoflow_connector_etsy.clients.listing import LISTING_STATES, EtsyListing
from stoflow_connector_etsy.clients.listings import PAGE_SIZE, ListingsClient
from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_sdk import ListingState, NeedsHumanError, RetryableError, TaskContext, effect_so_far

_OPEN = frozenset({ListingState.LISTING_STATE_LIVE, ListingState.LISTING_STATE_DRAFT})
# A shop that changes while it is read is read again; one that never rests is another attempt's.
_SCANS = 3


class ListingFinder:
    """Looks for listings."""

    def __init__(self, listings: ListingsClient) -> None:
        self._listings = listings

    async def find(self, seller: Seller, task: TaskContext) -> EtsyListing | None:
        """Returns the listing of the job's product with its inventory, in whatever state; None when there is none.

        An open one that the orchestrator knows is read by its id. Otherwise the whole shop is read for the SKU, for
        the seller may have listed the article at Etsy itself. What ended counts last.

        Raises:
            NeedsHumanError: Several listings that are not over carry the SKU.
        """
        all_known = [known for known in await task.get_listings() if known.remote_id.isdigit()]
        for known in all_known:
            if known.state in _OPEN:
                found = await self._listings.find(seller, int(known.remote_id), with_inventory=True)
                if found is not None:
                    return found
        sku = task.product.content.sku
        by_sku = [one async for one in self.scan(seller, LISTING_STATES) if sku in one.skus]
        is_open = [one for one in by_sku if LISTING_STATES[one.state] in _OPEN]
        if len(is_open) > 1:
            ids = ", ".join(one.remote_id for one in is_open)
            raise NeedsHumanError(
                f"Several listings carry SKU {sku}: {ids}. End all but one at Etsy, or give them other SKUs.",
                effect=effect_so_far(),
                code="SKU_AMBIGUOUS",
            )
        if is_open or by_sku:
            return (is_open or by_sku)[0]
        for known in all_known:
            found = await self._listings.find(seller, int(known.remote_id), with_inventory=True)
            if found is not None:
                return found
        return None

    async def drafts_with(self, seller: Seller, marker: str) -> list[EtsyListing]:
        """Returns every draft whose description contains the marker, the oldest first."""
        drafts = [one async for one in self.scan(seller, ["draft"], with_inventory=False)]
        return sorted(
            (one for one in drafts if marker in one.description), key=lambda draft: draft.listing_id
        )

    async def scan(
        self, seller: Seller, states: Iterable[str], *, with_inventory: bool = True
    ) -> AsyncIterator[EtsyListing]:
        """Yields every listing of the states once; only a scan that saw all of them ends well.

        Raises:
            RetryableError: The listings changed while they were read, time and again.
        """
        for state in states:
            for listing in await self._all(seller, state, with_inventory):
                yield listing

    async def _all(self, seller: Seller, state: str, with_inventory: bool) -> list[EtsyListing]:
        for _ in range(_SCANS):
            found: dict[int, EtsyListing] = {}
            counts: set[int] = set()
            offset = 0
            while True:
                page = await self._listings.page(seller, state, offset, with_inventory=with_inventory)
                counts.add(page.count)
                found |= {listing.listing_id: listing for listing in page.listings}
                offset += PAGE_SIZE
                if not page.listings or offset >= page.count:
                    break
            # Something that left between two pages moved the rest up, and one may have slipped through.
            if len(counts) == 1 and len(found) >= page.count:
                return list(found.values())
        raise RetryableError(
            f"The shop's {state} listings changed while they were read, so nothing follows from what was seen.",
            effect=effect_so_far(),
            code="SCAN_INCOMPLETE",
        )
