"""The action "update": a live listing follows its product."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_ebay.handlers.timing import Timing
from stoflow_connector_ebay.schemas import UPDATE_OPTIONS_SCHEMA, UPDATE_PRODUCT_SCHEMA
from stoflow_connector_ebay.services.update import EbayUpdateService
from stoflow_connector_sdk import DirectAPIJobHandler, TaskSpec


class EbayUpdateHandler(DirectAPIJobHandler):
    """A comparison, and the steps that it appends. All may be repeated: they write absolute values."""

    action = "update"
    options_schema = UPDATE_OPTIONS_SCHEMA
    product_schema = UPDATE_PRODUCT_SCHEMA
    requires_product = True
    default_max_retries: ClassVar[int] = 5

    def __init__(self, service: EbayUpdateService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> EbayUpdateService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        seconds = self._timing.repeatable_seconds
        return (
            TaskSpec("plan_update", seconds),
            TaskSpec("upload_image", seconds, follow_up=True),
            TaskSpec("update_price_quantity", seconds, follow_up=True),
            TaskSpec("merge_inventory_item", seconds, follow_up=True),
            TaskSpec("merge_offer", seconds, follow_up=True),
        )
