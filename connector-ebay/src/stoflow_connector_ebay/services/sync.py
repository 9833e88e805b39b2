"""Reads what a seller has and sold at eBay, page by page; a page that runs again reports the same again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from stoflow_connector_ebay.clients.fulfillment import FulfillmentClient, Json
from stoflow_connector_ebay.clients.inventory import InventoryClient
from stoflow_connector_ebay.clients.item_pages import ItemPagesClient
from stoflow_connector_ebay.clients.offer import Offer
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.listing_changes import ended_listing, listing_change
from stoflow_connector_ebay.order_changes import has_cancellation, order_change
from stoflow_connector_ebay.sites import SITES, EbaySite, find_site
from stoflow_connector_sdk import (
    AccountListing,
    ConnectorError,
    EffectOutcome,
    FollowUp,
    ListingChange,
    PermanentError,
    RetryableError,
    TaskContext,
    TaskResult,
    Violation,
)

T = TypeVar("T")

# What eBay keeps of orders without being asked for more.
LONGEST_WINDOW = timedelta(days=90)
# How far a sync reaches back behind the one before: clocks differ, eBay's lists lag behind its orders, and what a
# list did not show in time is seen again.
OVERLAP = timedelta(days=2)
ORDERS_A_PAGE = 100
# The next page begins so many records before the end of the last: when orders that a page showed leave their places
# meanwhile, those behind move up, and none may slip through between two pages.
SHARED_ORDERS = 10
MOST_RESTARTS = 5
REREADS_A_TASK = 50
ITEMS_A_PAGE = 100
READS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class _OrderScan:
    """Where a scan of orders stands; it travels in the input of its next task."""

    since: datetime
    offset: int = 0
    tail: Sequence[str] = ()
    restarts: int = 0

    @classmethod
    def from_input(cls, values: Json) -> "_OrderScan":
        return cls(
            since=datetime.fromisoformat(str(values["since"])),
            offset=int(values["offset"]),
            tail=[str(order_id) for order_id in values["tail"]],
            restarts=int(values["restarts"]),
        )

    def follow_up(self) -> FollowUp:
        values = {
            "since": self.since.isoformat(),
            "offset": self.offset,
            "tail": list(self.tail),
            "restarts": self.restarts,
        }
        return FollowUp("fetch_more_orders", values)


class EbaySyncService:
    """The steps of sync_orders and sync_listings."""

    def __init__(
        self, fulfillment: FulfillmentClient, items: ItemPagesClient, inventory: InventoryClient
    ) -> None:
        self._fulfillment = fulfillment
        self._items = items
        self._inventory = inventory

    async def fetch_orders(self, task: TaskContext) -> TaskResult:
        """Begins a scan of the orders that were changed since the last whole one, and reads its first page."""
        return await self._order_page(task, _OrderScan(await _window_start(task)))

    async def fetch_more_orders(self, task: TaskContext) -> TaskResult:
        """Reads the next page."""
        return await self._order_page(task, _OrderScan.from_input(task.input))

    async def reread_orders(self, task: TaskContext) -> TaskResult:
        """Reads orders with a cancellation one by one: lists leave the requests out."""
        seller = _any_seller(task)
        read = self._fulfillment.find_order
        found = await _gather([partial(read, seller, str(order_id)) for order_id in task.input["orderIds"]])
        # One that a list shows and nobody finds is a phantom: nothing is known of it.
        orders = [order_change(order) for order in found if order is not None]
        return TaskResult({"orders": len(orders)}, orders=orders)

    async def _order_page(self, task: TaskContext, scan: _OrderScan) -> TaskResult:
        page = await self._fulfillment.list_orders(_any_seller(task), scan.since, scan.offset, ORDERS_A_PAGE)
        ids = [str(order.get("orderId") or "") for order in page.orders]
        if scan.tail and not set(scan.tail) & set(ids):
            return TaskResult({"moved": True}, follow_ups=[_restarted(scan).follow_up()])
        follow_ups = [
            FollowUp("reread_orders", {"orderIds": ids})
            for ids in _chunks(
                [str(order["orderId"]) for order in page.orders if has_cancellation(order)], REREADS_A_TASK
            )
        ]
        end = scan.offset + len(ids)
        if end < page.total:
            if not ids:
                raise RetryableError(
                    f"eBay speaks of {page.total} orders and shows none from {scan.offset} on.",
                    effect=EffectOutcome.NOT_SENT,
                    code="SHORT_PAGE",
                )
            shared = min(SHARED_ORDERS, len(ids) - 1)
            following = _OrderScan(scan.since, end - shared, ids[len(ids) - shared :], scan.restarts)
            follow_ups.append(following.follow_up())
        orders = [order_change(order) for order in page.orders if not has_cancellation(order)]
        return TaskResult({"orders": len(ids), "total": page.total}, follow_ups=follow_ups, orders=orders)

    async def fetch_listings(self, task: TaskContext) -> TaskResult:
        """Begins a scan of the seller's inventory on the job's site, and reads its first page."""
        return await self._item_page(task, 0)

    async def fetch_more_listings(self, task: TaskContext) -> TaskResult:
        """Reads the next page."""
        return await self._item_page(task, int(task.input["page"]))

    async def confirm_listings(self, task: TaskContext) -> TaskResult:
        """Reads, one by one, what is known as live and what the whole scan did not see.

        Only the read says that a listing is over; one without an SKU cannot be read here and is left as it is.
        """
        site = _site(task)
        state = await task.get_sync_state(ITEMS_A_PAGE, str(task.input.get("pageToken") or ""))
        seen = _seen(task)
        missing = [known for known in state.listings if known.remote_id not in seen and known.sku]
        reads = [partial(self._confirm, task, site, known) for known in missing]
        found = [change for change in await _gather(reads) if change is not None]
        follow_ups = []
        if state.next_page_token:
            follow_ups.append(FollowUp("confirm_listings", {"pageToken": state.next_page_token}))
        return TaskResult({"missing": len(missing)}, follow_ups=follow_ups, found_listings=found)

    async def _item_page(self, task: TaskContext, page: int) -> TaskResult:
        site = _site(task)
        found = await self._items.list_items(Seller(site, task.get_access_token), page, ITEMS_A_PAGE)
        is_last = (page + 1) * ITEMS_A_PAGE >= found.total
        if not is_last and len(found.items) < ITEMS_A_PAGE:
            # Taken for the whole page, it would make everything behind it look gone.
            raise RetryableError(
                f"eBay speaks of {found.total} items and shows {len(found.items)} on page {page}.",
                effect=EffectOutcome.NOT_SENT,
                code="SHORT_PAGE",
            )
        offers = await _gather([partial(self._offer_of, task, site, item) for item in found.items])
        changes = [
            listing_change(site, offer, item)
            for offer, item in zip(offers, found.items, strict=True)
            if offer is not None and offer.is_published and offer.listing_id
        ]
        # The end of the scan, and nothing before it, leads to the look at what was not seen.
        following = (
            FollowUp("confirm_listings") if is_last else FollowUp("fetch_more_listings", {"page": page + 1})
        )
        output = {"listingIds": [change.remote_id for change in changes], "total": found.total}
        return TaskResult(output, follow_ups=[following], found_listings=changes)

    async def _offer_of(self, task: TaskContext, site: EbaySite, item: Json) -> Offer | None:
        sku = str(item.get("sku") or "")
        return await self._inventory.find_offer(Seller(site, task.get_access_token), sku) if sku else None

    async def _confirm(
        self, task: TaskContext, site: EbaySite, known: AccountListing
    ) -> ListingChange | None:
        offer = await self._inventory.find_offer(Seller(site, task.get_access_token), known.sku)
        if offer is not None and offer.listing_id == known.remote_id:
            return listing_change(site, offer)
        # No offer, or one that shows another listing or none: eBay was asked and does not know this one any more.
        return ended_listing(known.remote_id)


async def _window_start(task: TaskContext) -> datetime:
    now = task.clock.now()
    if days := task.options.get("days"):
        return now - timedelta(days=float(days))
    state = await task.get_sync_state()
    earliest = now - LONGEST_WINDOW
    if state.last_complete_time is None:
        return earliest
    return max(min(state.last_complete_time, now) - OVERLAP, earliest).astimezone(UTC)


def _restarted(scan: _OrderScan) -> _OrderScan:
    if scan.restarts >= MOST_RESTARTS:
        raise RetryableError(
            "The orders at eBay change faster than they can be read.",
            effect=EffectOutcome.NOT_SENT,
            code="ORDERS_MOVE",
        )
    return _OrderScan(scan.since, restarts=scan.restarts + 1)


def _any_seller(task: TaskContext) -> Seller:
    # Orders are not by site; a site only decides the language of messages.
    named = find_site(task.site) or next(
        (SITES[name] for name in sorted(task.account_settings) if name in SITES), SITES["EBAY_US"]
    )
    return Seller(named, task.get_access_token)


def _site(task: TaskContext) -> EbaySite:
    site = find_site(task.site)
    if site is None:
        text = f"{task.site!r} is no site of eBay, and a sync of listings is for one site"
        raise PermanentError(
            f"Listings cannot be synced: {text}.",
            violations=[Violation("site", text)],
            effect=EffectOutcome.NOT_SENT,
            code="SITE_UNKNOWN",
        )
    return site


def _seen(task: TaskContext) -> set[str]:
    pages = [*task.outputs.list("fetch_listings"), *task.outputs.list("fetch_more_listings")]
    return {str(listing_id) for page in pages for listing_id in page.get("listingIds") or ()}


def _chunks(ids: Sequence[str], size: int) -> list[Sequence[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


async def _gather(reads: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Makes reads, some at once; the first failure ends the others, so that none goes on without its task."""
    gate = asyncio.Semaphore(READS_AT_ONCE)

    async def one(read: Callable[[], Awaitable[T]]) -> T:
        async with gate:
            return await read()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(read)) for read in reads]
    except* ConnectorError as errors:
        raise _first(errors) from None
    return [task.result() for task in tasks]


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
