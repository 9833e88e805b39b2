"""The kill matrix as data: one row a task, one column a fault. A new connector adds its rows here."""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.kill_matrix import faults
from tests.chaos.kill_matrix.faults import Fault
from tests.chaos.kill_matrix.rows import Request, TaskRow

_UPLOAD = "/commerce/media/v1_beta/image/create_image_from_file"
_ITEM = "/sell/inventory/v1/inventory_item/*"
_OFFER = "/sell/inventory/v1/offer"
_PUBLISH = "/sell/inventory/v1/offer/*/publish"
_PRIVILEGE = "/sell/account/v1/privilege"
_BULK = "/sell/inventory/v1/bulk_update_price_quantity"
_WITHDRAW = "/sell/inventory/v1/offer/*/withdraw"
# Before these only the comparison has run, whose grant cannot be told from theirs.
_AFTER_THE_PLAN = (
    "kill_on_receipt",
    "kill_before_report",
    "stop_past_lease",
    "stop_past_lease_effect_last",
    "late_effect",
    "timeout_before_effect",
    "error_after_effect",
    "reset_after_effect",
)

_SHOP = "/v3/application/shops/*"
_POLICIES = f"{_SHOP}/policies/return"
_PROPERTIES = "/v3/application/seller-taxonomy/nodes/*/properties"
_DRAFTS = f"{_SHOP}/listings"
_LISTING = f"{_SHOP}/listings/*"
_PICTURES = f"{_SHOP}/listings/*/images"
_INVENTORY = "/v3/application/listings/*/inventory"
_DELETION = "/v3/application/listings/*"

ROWS = (
    # Its first question; what it asks about categories is asked in the application's name.
    TaskRow("ebay", "preflight", request=Request("GET", _PRIVILEGE), before=None),
    # The second of three pictures, so that one stands before it and one behind.
    TaskRow(
        "ebay",
        "upload_image",
        item_index=1,
        request=Request("POST", _UPLOAD, skip=1),
        before=Request("POST", _UPLOAD),
    ),
    TaskRow(
        "ebay",
        "put_inventory_item",
        request=Request("PUT", _ITEM),
        before=Request("POST", _UPLOAD, skip=2),
    ),
    TaskRow(
        "ebay",
        "create_offer",
        once="offer",
        request=Request("POST", _OFFER),
        before=Request("PUT", _ITEM),
    ),
    TaskRow(
        "ebay",
        "publish_offer",
        once="listing",
        request=Request("POST", _PUBLISH),
        before=Request("POST", _OFFER),
    ),
    # What an update appends to its first step, which asks only the orchestrator.
    TaskRow(
        "ebay",
        "plan_update",
        action="update",
        change="price",
        request=None,
        before=None,
        columns=("kill_before_call",),
    ),
    TaskRow(
        "ebay",
        "update_price_quantity",
        action="update",
        change="price",
        request=Request("POST", _BULK),
        before=None,
        columns=_AFTER_THE_PLAN,
    ),
    TaskRow(
        "ebay",
        "upload_image",
        action="update",
        change="texts",
        item_index=3,
        request=Request("POST", _UPLOAD),
        before=None,
        columns=_AFTER_THE_PLAN,
    ),
    TaskRow(
        "ebay",
        "merge_inventory_item",
        action="update",
        change="texts",
        request=Request("PUT", _ITEM),
        before=Request("POST", _UPLOAD),
    ),
    TaskRow(
        "ebay",
        "merge_offer",
        action="update",
        change="texts",
        request=Request("PUT", f"{_OFFER}/*"),
        before=Request("PUT", _ITEM),
    ),
    TaskRow(
        "ebay",
        "end_listing",
        action="delete",
        options={"method": "WITHDRAW"},
        request=Request("POST", _WITHDRAW),
        before=None,
        ends=True,
    ),
    TaskRow(
        "ebay",
        "end_listing",
        action="delete",
        options={"method": "OUT_OF_STOCK"},
        request=Request("POST", _BULK),
        before=None,
        ends=True,
    ),
    TaskRow("etsy", "preflight", request=Request("GET", _POLICIES), before=None),
    # Nothing at Etsy refuses a second draft; only the stored one is activated, so buyers never see it.
    TaskRow(
        "etsy",
        "create_draft",
        once="draft",
        stray="draft",
        request=Request("POST", _DRAFTS),
        before=Request("GET", _PROPERTIES),
    ),
    # Nothing at Etsy refuses a picture either; while the job runs, what is not wanted is removed.
    TaskRow(
        "etsy",
        "upload_image",
        item_index=1,
        stray="picture",
        request=Request("POST", _PICTURES, skip=1),
        before=Request("POST", _PICTURES),
    ),
    # The sandbox does not obey ranks, so that the order must be repaired in every cell.
    TaskRow(
        "etsy",
        "arrange_images",
        request=Request("PATCH", _LISTING),
        before=Request("POST", _PICTURES, skip=2),
    ),
    TaskRow(
        "etsy",
        "put_inventory",
        request=Request("PUT", _INVENTORY),
        before=Request("PATCH", _LISTING),
    ),
    TaskRow(
        "etsy",
        "finish_draft",
        request=Request("PATCH", _LISTING, skip=1),
        before=Request("PUT", _INVENTORY),
    ),
    TaskRow(
        "etsy",
        "activate",
        once="listing",
        request=Request("PATCH", _LISTING, skip=2),
        before=Request("PATCH", _LISTING, skip=1),
    ),
    TaskRow(
        "etsy",
        "put_inventory",
        action="update",
        change="price",
        request=Request("PUT", _INVENTORY),
        before=None,
    ),
    TaskRow(
        "etsy",
        "update_listing",
        action="update",
        change="price",
        request=Request("PATCH", _LISTING),
        before=Request("PUT", _INVENTORY),
    ),
    TaskRow(
        "etsy",
        "end_listing",
        action="delete",
        options={"method": "DEACTIVATE"},
        request=Request("PATCH", _LISTING),
        before=None,
        ends=True,
    ),
    TaskRow(
        "etsy",
        "end_listing",
        action="delete",
        options={"method": "DELETE"},
        request=Request("DELETE", _DELETION),
        before=None,
        ends=True,
    ),
)

FAULTS = (
    Fault("kill_on_receipt", faults.kill_on_receipt),
    Fault("kill_before_call", faults.kill_before_call),
    Fault("kill_before_report", faults.kill_before_report),
    Fault("stop_past_lease", faults.stop_past_lease),
    # The marketplace obeys the sleeper's request only after the successor's: its own last fence, if it has one.
    Fault(
        "stop_past_lease_effect_last",
        faults.stop_past_lease_effect_last,
        is_sent_again=True,
        is_obeyed_last=True,
    ),
    Fault("late_effect", faults.late_effect, spares_connector=True),
    Fault("timeout_before_effect", faults.timeout_before_effect, is_sent_again=True, spares_connector=True),
    Fault("error_after_effect", faults.error_after_effect, spares_connector=True),
    Fault("reset_after_effect", faults.reset_after_effect, spares_connector=True),
)


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """One row under one column."""

    row: TaskRow
    fault: Fault

    @property
    def name(self) -> str:
        """Names the cell in tests, logs and folders."""
        return f"{self.row.marketplace}-{self.row.label}-{self.fault.name}"

    @property
    def is_long(self) -> bool:
        """Whether `make check` leaves the cell to `make check-long`.

        Of the steps that may simply be repeated a few suffice: where a request's effect or its answer is lost.
        Of the marketplaces beside eBay, what only they can get wrong.
        """
        if self.row.marketplace != "ebay":
            return (self.row.label, self.fault.name) not in _ELSEWHERE_IN_CHECK
        if self.row.label in _PUBLISHING:
            return False
        if self.row.request is None:
            return False
        return self.fault.name not in {"kill_on_receipt", "error_after_effect"} or (
            self.fault.name == "kill_on_receipt" and self.row.label not in _KILLED_IN_CHECK
        )

    @property
    def stray(self) -> TaskRow | None:
        """The row, when its request is obeyed after the job's end at a marketplace that refuses none."""
        return self.row if self.row.stray and self.fault.is_obeyed_last else None

    def most_sends(self, row: TaskRow) -> int:
        """How often a ONCE task's request may reach the marketplace at most.

        Once, whatever dies: a request that may have acted is never followed by another, but by a probe. Only
        where the fault swallows the effect itself must a second one follow.
        """
        return 2 if self.fault.is_sent_again and row == self.row else 1


CELLS = tuple(
    MatrixCell(row, fault) for row in ROWS for fault in FAULTS if not row.columns or fault.name in row.columns
)
_PUBLISHING = frozenset({"upload_image", "put_inventory_item", "create_offer", "publish_offer"})
_KILLED_IN_CHECK = frozenset({"update-merge_offer", "delete-end_listing-WITHDRAW"})
_ELSEWHERE_IN_CHECK = frozenset(
    {
        ("create_draft", "kill_on_receipt"),
        ("create_draft", "late_effect"),
        ("create_draft", "reset_after_effect"),
        ("create_draft", "stop_past_lease_effect_last"),
        ("upload_image", "kill_on_receipt"),
        ("activate", "error_after_effect"),
        ("delete-end_listing-DEACTIVATE", "error_after_effect"),
    }
)


def find_cell(task: str, fault: str, marketplace: str = "ebay") -> MatrixCell:
    """Returns a cell by its names."""
    return next(cell for cell in CELLS if cell.name == f"{marketplace}-{task}-{fault}")


def list_rows(marketplace: str) -> tuple[TaskRow, ...]:
    """Returns a marketplace's rows in the order of its tasks."""
    return tuple(row for row in ROWS if row.marketplace == marketplace)
