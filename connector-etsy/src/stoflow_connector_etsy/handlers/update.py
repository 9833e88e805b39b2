"""The action "update": a product's listing shows the product as it is now."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_etsy.handlers.timing import Timing
from stoflow_connector_etsy.schemas import OPTIONS_SCHEMA, UPDATED_PRODUCT_SCHEMA
from stoflow_connector_etsy.services.update import EtsyUpdateService
from stoflow_connector_sdk import DirectAPIJobHandler, TaskSpec


class EtsyUpdateHandler(DirectAPIJobHandler):
    """Inventory, pictures that changed, texts: all absolute, so all repeatable."""

    action = "update"
    options_schema = OPTIONS_SCHEMA
    product_schema = UPDATED_PRODUCT_SCHEMA
    requires_product = True
    default_max_retries: ClassVar[int] = 5

    def __init__(self, service: EtsyUpdateService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> EtsyUpdateService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return (
            TaskSpec("put_inventory", self._timing.scan_seconds),
            # Repeatable: what an attempt before left is removed first.
            TaskSpec("update_pictures", 2 * self._timing.repeatable_seconds, follow_up=True),
            TaskSpec("update_listing", self._timing.repeatable_seconds),
        )
