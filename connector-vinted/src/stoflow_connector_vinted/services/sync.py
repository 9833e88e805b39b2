"""Reads what the wardrobe holds and what was sold, a page a task; nothing follows from what one page does not show."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from stoflow_connector_sdk import FollowUp, ListingChange, ListingState, TaskContext, TaskResult
from stoflow_connector_vinted.clients.vinted import VintedClient, wardrobe_item
from stoflow_connector_vinted.mapping import found_listing, item_listing
from stoflow_connector_vinted.orders import order_change, sale_time

# Each order costs a call of its own, at the seller's pace.
ORDERS_A_PAGE: Final = 20
CONFIRMATIONS_A_TASK: Final = 20
# More would be a mistake of ours rather than the seller's deletions: a person looks at the figures first.
MAX_CONFIRMATIONS: Final = 200
DEFAULT_LOOKBACK_DAYS: Final = 30
_SYNC_PAGE: Final = 500


class VintedSyncService:
    """The steps of sync_listings and sync_orders."""

    def __init__(self, vinted: VintedClient, site_url: str) -> None:
        self._vinted = vinted
        self._site_url = site_url

    async def begin_listings(self, task: TaskContext) -> TaskResult:
        """Makes sure that a seller is there, and plans the first page."""
        self._vinted.user_id(task)
        return TaskResult(follow_ups=[FollowUp("read_wardrobe", {"page": 1})])

    async def read_wardrobe(self, task: TaskContext) -> TaskResult:
        """Reads one page and plans the next."""
        number = int(task.input["page"])
        page = await self._vinted.wardrobe_page(task, number)
        items = [item for entry in page.entries if (item := wardrobe_item(entry)) is not None]
        follow_ups = [FollowUp("read_wardrobe", {"page": number + 1})] if number < page.total_pages else []
        return TaskResult(
            {
                "page": number,
                "pages": page.total_pages,
                "total": page.total,
                "ids": [item.item_id for item in items],
            },
            follow_ups=follow_ups,
            found_listings=[found_listing(item) for item in items],
        )

    async def finish_listings(self, task: TaskContext) -> TaskResult:
        """Says whether the scan was whole; only then is what it did not see looked at, item by item."""
        pages = task.outputs.list("read_wardrobe")
        seen = {str(item_id) for page in pages for item_id in page["ids"]}
        is_complete = is_whole(pages, len(seen))
        missing = await self._missing(task, seen) if is_complete else []
        groups = [
            missing[start : start + CONFIRMATIONS_A_TASK]
            for start in range(0, min(len(missing), MAX_CONFIRMATIONS), CONFIRMATIONS_A_TASK)
        ]
        return TaskResult(
            {"items": len(seen), "isComplete": is_complete, "missing": len(missing)},
            follow_ups=[FollowUp("confirm_missing", {"ids": group}) for group in groups],
        )

    async def _missing(self, task: TaskContext, seen: set[str]) -> list[str]:
        missing: list[str] = []
        token = ""
        while True:
            state = await task.get_sync_state(_SYNC_PAGE, token)
            missing += [one.remote_id for one in state.listings if one.remote_id not in seen]
            token = state.next_page_token
            if not token:
                return missing

    async def confirm_missing(self, task: TaskContext) -> TaskResult:
        """Reads the items that the wardrobe did not show: one that is not there any more has ended."""
        found = []
        for item_id in (str(one) for one in task.input["ids"]):
            item = await self._vinted.find_item(task, item_id)
            if item is None:
                found.append(ListingChange(remote_id=item_id, state=ListingState.LISTING_STATE_ENDED))
            else:
                found.append(item_listing(item, self._site_url))
        return TaskResult({"confirmed": len(found)}, found_listings=found)

    async def begin_orders(self, task: TaskContext) -> TaskResult:
        """Fixes how far back to read, so that all pages speak of the same time."""
        days = int(task.options.get("lookbackDays") or DEFAULT_LOOKBACK_DAYS)
        since = int((task.clock.now() - timedelta(days=days)).timestamp())
        return TaskResult(follow_ups=[FollowUp("read_orders", {"page": 1, "since": since})])

    async def read_orders(self, task: TaskContext) -> TaskResult:
        """Reads one page of sales with each sale, and plans the next unless it would be too old."""
        number, since = int(task.input["page"]), int(task.input["since"])
        page = await self._vinted.orders_page(task, number, ORDERS_A_PAGE)
        orders = []
        is_old = False
        for entry in page.entries:
            time = sale_time(entry.get("date"))
            if time is not None and time.timestamp() < since:
                is_old = True
                continue
            number_of_sale = entry.get("transaction_id")
            if not isinstance(number_of_sale, int):
                continue
            change = order_change(entry, await self._vinted.get_transaction(task, str(number_of_sale)))
            orders += [] if change is None else [change]
        goes_on = number < page.total_pages and not is_old
        following = [FollowUp("read_orders", {"page": number + 1, "since": since})] if goes_on else []
        return TaskResult({"page": number, "orders": len(orders)}, follow_ups=following, orders=orders)

    async def finish_orders(self, task: TaskContext) -> TaskResult:
        """Says how much was read."""
        pages = task.outputs.list("read_orders")
        return TaskResult({"orders": sum(int(page["orders"]) for page in pages)})


def is_whole(pages: list[Mapping[str, Any]], seen: int) -> bool:
    """Tells whether pages make a whole scan: every page was read, their number stayed, and nothing slipped between."""
    numbers = {int(page["page"]) for page in pages}
    counts = {int(page["pages"]) for page in pages}
    totals = {int(page["total"]) for page in pages}
    return (
        len(counts) == 1
        and numbers >= set(range(1, max(counts) + 1))
        and len(totals) == 1
        and seen == max(totals)
    )
