"""The action "delete": a product is not for sale on one eBay site any more."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_ebay.handlers.timing import Timing
from stoflow_connector_ebay.schemas import DELETE_OPTIONS_SCHEMA
from stoflow_connector_ebay.services.deletion import EbayDeletionService
from stoflow_connector_sdk import DirectAPIJobHandler, Priority, TaskSpec


class EbayDeleteHandler(DirectAPIJobHandler):
    """One step, which may be repeated: what is gone already is success."""

    action = "delete"
    options_schema = DELETE_OPTIONS_SCHEMA
    requires_product = True
    # What is sold elsewhere must not be sold here as well.
    default_priority: ClassVar[Priority] = Priority.HIGH
    default_max_retries: ClassVar[int] = 20
    expire_after_seconds: ClassVar[float] = 7 * 86_400

    def __init__(self, service: EbayDeletionService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> EbayDeletionService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return (TaskSpec("end_listing", self._timing.repeatable_seconds),)
