"""The matrix of the tasks that only read, and of the exchange of a code: one row a task, one column a fault."""

from __future__ import annotations

from dataclasses import dataclass

_ORDERS = "/sell/fulfillment/v1/order"
_ITEMS = "/sell/inventory/v1/inventory_item"
_OFFERS = "/sell/inventory/v1/offer"


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """A task and one of its requests.

    Attributes:
        action: The job's.
        task: The step's name.
        method: Of the request.
        path: As the sandbox's fault rules take it.
        skip: How many alike come before it.
        sku: Which article the request is about; empty for any.
    """

    action: str
    task: str
    method: str
    path: str
    skip: int = 0
    sku: str = ""


ROWS = (
    ReadingRow("sync_orders", "fetch_orders", "GET", _ORDERS),
    ReadingRow("sync_orders", "fetch_more_orders", "GET", _ORDERS, skip=1),
    ReadingRow("sync_orders", "reread_orders", "GET", f"{_ORDERS}/*"),
    ReadingRow("sync_listings", "fetch_listings", "GET", _ITEMS),
    ReadingRow("sync_listings", "fetch_more_listings", "GET", _ITEMS, skip=1),
    ReadingRow("sync_listings", "confirm_listings", "GET", _OFFERS, sku="SKU1"),
    ReadingRow("connect", "exchange_code", "POST", "/identity/v1/oauth2/token"),
)
FAULTS = (
    "kill_on_receipt",
    "kill_before_report",
    "stop_past_lease",
    "timeout",
    "error",
    "reset",
)
# What `make check` plays: a reader killed in the middle of a scan, and a code whose exchange nobody heard the end of.
SHORT = frozenset({("fetch_more_listings", "kill_on_receipt"), ("exchange_code", "kill_on_receipt")})
