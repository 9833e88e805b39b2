"""The action "sync_orders": what was sold, and what became of it."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_ebay.handlers.timing import Timing
from stoflow_connector_ebay.services.sync import EbaySyncService
from stoflow_connector_ebay.sync_options import SYNC_ORDERS_OPTIONS_SCHEMA
from stoflow_connector_sdk import DirectAPIJobHandler, Priority, TaskSpec


class EbayOrderSyncHandler(DirectAPIJobHandler):
    """One task a page; cancelled orders are read again by themselves."""

    action = "sync_orders"
    options_schema = SYNC_ORDERS_OPTIONS_SCHEMA
    default_max_retries: ClassVar[int] = 5
    # What was sold here must end elsewhere.
    default_priority: ClassVar[Priority] = Priority.HIGH
    expire_after_seconds: ClassVar[float] = 86_400

    def __init__(self, service: EbaySyncService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> EbaySyncService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        seconds = self._timing.repeatable_seconds
        return (
            # Repeatable, all of them: they only read.
            TaskSpec("fetch_orders", seconds),
            TaskSpec("fetch_more_orders", seconds, follow_up=True),
            TaskSpec("reread_orders", self._timing.reading_seconds, follow_up=True),
        )
