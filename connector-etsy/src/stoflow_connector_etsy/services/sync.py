"""Reads what a shop has and what it sold, a page a task; nothing follows from what a page does not show."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from stoflow_connector_etsy.clients.listing import LISTING_STATES
from stoflow_connector_etsy.clients.listings import PAGE_SIZE as LISTING_PAGE
from stoflow_connector_etsy.clients.listings import ListingsClient
from stoflow_connector_etsy.clients.receipts import PAGE_SIZE as RECEIPT_PAGE
from stoflow_connector_etsy.clients.receipts import ReceiptsClient
from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_etsy.orders import created_time, order_change
from stoflow_connector_etsy.services.sellers import seller_of
from stoflow_connector_sdk import FollowUp, ListingChange, ListingState, TaskContext, TaskResult

STATES: Final[Sequence[str]] = tuple(LISTING_STATES)
# Receipts have been listed that a read of the receipt did not know: what is new is read once more by itself.
CONFIRMED_AGE: Final = timedelta(hours=6)
ENDED: Final = ListingState.LISTING_STATE_ENDED
# getListingsByListingIds takes no more at once.
CHECKED_AT_ONCE: Final = 100
# Cancellations and refunds may leave the time of change as it was, so what can still be cancelled is read again.
PASSES: Final[Sequence[str]] = ("changed", "open", "cancelled")
DEFAULT_OVERLAP_HOURS: Final = 24
DEFAULT_REVISIT_DAYS: Final = 60


class EtsySyncService:
    """The steps of sync_listings and sync_orders."""

    def __init__(self, listings: ListingsClient, receipts: ReceiptsClient) -> None:
        self._listings = listings
        self._receipts = receipts

    async def begin_listings(self, task: TaskContext) -> TaskResult:
        """Plans the first page: all states, one after the other."""
        seller_of(task)
        return TaskResult(follow_ups=[FollowUp("read_listings", {"state": STATES[0], "offset": 0})])

    async def read_listings(self, task: TaskContext) -> TaskResult:
        """Reads one page with its SKUs and plans the next, or the next state's first."""
        state, offset = str(task.input["state"]), int(task.input["offset"])
        page = await self._listings.page(seller_of(task), state, offset, with_inventory=True)
        end = offset + LISTING_PAGE
        if page.listings and end < page.count:
            follow_ups = [FollowUp("read_listings", {"state": state, "offset": end})]
        else:
            follow_ups = [
                FollowUp("read_listings", {"state": following, "offset": 0})
                for following in STATES[STATES.index(state) + 1 :][:1]
            ]
        return TaskResult(
            {"state": state, "offset": offset, "count": page.count, "found": len(page.listings)},
            follow_ups=follow_ups,
            found_listings=[one.change() for one in page.listings if one.state in LISTING_STATES],
        )

    async def finish_listings(self, task: TaskContext) -> TaskResult:
        """Says whether every listing was seen; only then does an absence mean anything, and even then it is checked."""
        summary = scan_summary(task.outputs.list("read_listings"))
        follow_ups = [FollowUp("check_listings", {"pageToken": ""})] if summary["isComplete"] else []
        return TaskResult(summary, follow_ups=follow_ups)

    async def check_listings(self, task: TaskContext) -> TaskResult:
        """Reads a page of the listings that should be live, each by its id, and reports those that are not."""
        seller = seller_of(task)
        known = await task.get_sync_state(CHECKED_AT_ONCE, str(task.input.get("pageToken") or ""))
        ids = [int(one.remote_id) for one in known.listings if one.remote_id.isdigit()]
        shown = {one.listing_id: one for one in await self._listings.batch(seller, ids)} if ids else {}
        changes = []
        for listing_id in ids:
            # Only a read of the listing itself says that it is gone.
            found = shown.get(listing_id) or await self._listings.find(seller, listing_id)
            if found is None:
                changes.append(ListingChange(remote_id=str(listing_id), state=ENDED))
            elif found.state in LISTING_STATES and found.state != "active":
                changes.append(found.change())
        token = known.next_page_token
        follow_ups = [FollowUp("check_listings", {"pageToken": token})] if token else []
        output = {"checked": len(ids), "ended": len(changes)}
        return TaskResult(output, follow_ups=follow_ups, found_listings=changes)

    async def begin_orders(self, task: TaskContext) -> TaskResult:
        """Fixes the windows, so that all pages speak of the same ones."""
        seller_of(task)
        now = task.clock.now()
        overlap = timedelta(hours=int(task.options.get("overlapHours") or DEFAULT_OVERLAP_HOURS))
        revisited = now - timedelta(days=int(task.options.get("revisitDays") or DEFAULT_REVISIT_DAYS))
        last = (await task.get_sync_state()).last_complete_time
        first = {
            "pass": PASSES[0],
            "offset": 0,
            "changedSince": int((revisited if last is None else last - overlap).timestamp()),
            "createdSince": int(revisited.timestamp()),
        }
        return TaskResult(follow_ups=[FollowUp("read_orders", first)])

    async def read_orders(self, task: TaskContext) -> TaskResult:
        """Reads one page of receipts and plans the next, or the next pass."""
        seller, given = seller_of(task), task.input
        name, offset = str(given["pass"]), int(given["offset"])
        page = await self._receipts.page(seller, offset, _narrowed(name, given))
        orders = []
        phantoms = 0
        for receipt in page.receipts:
            confirmed = await self._confirm(seller, receipt, task.clock.now())
            change = None if confirmed is None else order_change(confirmed)
            phantoms += change is None
            orders += [] if change is None else [change]
        end = offset + RECEIPT_PAGE
        if page.receipts and end < page.count:
            following = [FollowUp("read_orders", {**given, "offset": end})]
        else:
            passes = PASSES[PASSES.index(name) + 1 :][:1]
            following = [FollowUp("read_orders", {**given, "pass": one, "offset": 0}) for one in passes]
        output = {"pass": name, "offset": offset, "count": page.count, "found": len(page.receipts)}
        return TaskResult({**output, "phantoms": phantoms}, follow_ups=following, orders=orders)

    async def finish_orders(self, task: TaskContext) -> TaskResult:
        """Says how much was read."""
        pages = task.outputs.list("read_orders")
        return TaskResult(
            {
                "receipts": sum(int(page["found"]) for page in pages),
                "phantoms": sum(int(page["phantoms"]) for page in pages),
            }
        )

    async def _confirm(
        self, seller: Seller, receipt: Mapping[str, Any], now: datetime
    ) -> Mapping[str, Any] | None:
        placed, receipt_id = created_time(receipt), receipt.get("receipt_id")
        if placed is None or not isinstance(receipt_id, int):
            return None
        return receipt if now - placed > CONFIRMED_AGE else await self._receipts.find(seller, receipt_id)


def scan_summary(pages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what the pages of a scan make together; complete when no count changed and all were seen."""
    counts: dict[str, set[int]] = {}
    found: dict[str, int] = {}
    for page in pages:
        state = str(page["state"])
        counts.setdefault(state, set()).add(int(page["count"]))
        found[state] = found.get(state, 0) + int(page["found"])
    is_complete = set(counts) == set(STATES) and all(
        len(seen) == 1 and found[state] >= max(seen) for state, seen in counts.items()
    )
    return {"listings": sum(found.values()), "isComplete": is_complete}


def _narrowed(name: str, given: Mapping[str, Any]) -> dict[str, str]:
    created_since = {"min_created": str(int(given["createdSince"]))}
    match name:
        case "changed":
            return {"min_last_modified": str(int(given["changedSince"]))}
        case "open":
            return {**created_since, "was_shipped": "false", "was_canceled": "false"}
        case _:
            return {**created_since, "was_canceled": "true"}
