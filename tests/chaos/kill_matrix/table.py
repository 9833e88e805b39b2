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

ROWS = (
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
)

FAULTS = (
    Fault("kill_on_receipt", faults.kill_on_receipt),
    Fault("kill_before_call", faults.kill_before_call),
    Fault("kill_before_report", faults.kill_before_report),
    Fault("stop_past_lease", faults.stop_past_lease),
    # The marketplace obeys the sleeper's request only after the successor's: eBay's own last fence.
    Fault("stop_past_lease_effect_last", faults.stop_past_lease_effect_last, is_sent_again=True),
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
        return f"{self.row.marketplace}-{self.row.task}-{self.fault.name}"

    def most_sends(self, row: TaskRow) -> int:
        """How often a ONCE task's request may reach the marketplace at most.

        Once, whatever dies: a request that may have acted is never followed by another, but by a probe. Only
        where the fault swallows the effect itself must a second one follow.
        """
        return 2 if self.fault.is_sent_again and row == self.row else 1


CELLS = tuple(MatrixCell(row, fault) for row in ROWS for fault in FAULTS)


def find_cell(task: str, fault: str, marketplace: str = "ebay") -> MatrixCell:
    """Returns a cell by its names."""
    return next(cell for cell in CELLS if cell.name == f"{marketplace}-{task}-{fault}")


def list_rows(marketplace: str) -> tuple[TaskRow, ...]:
    """Returns a marketplace's rows in the order of its tasks."""
    return tuple(row for row in ROWS if row.marketplace == marketplace)
