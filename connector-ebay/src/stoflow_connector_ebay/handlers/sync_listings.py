"""The action "sync_listings": what the seller has for sale on one site."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_ebay.handlers.timing import Timing
from stoflow_connector_ebay.services.sync import EbaySyncService
from stoflow_connector_ebay.sync_options import SYNC_LISTINGS_OPTIONS_SCHEMA
from stoflow_connector_sdk import DirectAPIJobHandler, Priority, TaskSpec


class EbayListingSyncHandler(DirectAPIJobHandler):
    """One task a page; after the last one, what is known and was not seen is read by itself."""

    action = "sync_listings"
    options_schema = SYNC_LISTINGS_OPTIONS_SCHEMA
    default_max_retries: ClassVar[int] = 5
    default_priority: ClassVar[Priority] = Priority.LOW
    expire_after_seconds: ClassVar[float] = 86_400

    def __init__(self, service: EbaySyncService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> EbaySyncService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        seconds = self._timing.reading_seconds
        return (
            # Repeatable, all of them: they only read.
            TaskSpec("fetch_listings", seconds),
            TaskSpec("fetch_more_listings", seconds, follow_up=True),
            TaskSpec("confirm_listings", seconds, follow_up=True),
        )
