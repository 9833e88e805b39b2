"""The action "update": a product's item shows the product as it is now."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_sdk import TaskSpec, VintedJobHandler
from stoflow_connector_vinted.handlers.timing import Timing
from stoflow_connector_vinted.schemas import ITEM_OPTIONS_SCHEMA, UPDATED_PRODUCT_SCHEMA
from stoflow_connector_vinted.services.update import VintedUpdateService


class VintedUpdateHandler(VintedJobHandler):
    """One step, which may repeat: the call replaces the item whole."""

    action = "update"
    options_schema = ITEM_OPTIONS_SCHEMA
    product_schema = UPDATED_PRODUCT_SCHEMA
    requires_product = True
    default_max_retries: ClassVar[int] = 5

    def __init__(self, service: VintedUpdateService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> VintedUpdateService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return (TaskSpec("update_item", self._timing.call),)
