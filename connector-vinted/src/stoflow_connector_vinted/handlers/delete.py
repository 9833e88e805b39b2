"""The action "delete": a product's item leaves the wardrobe."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_sdk import Priority, TaskSpec, VintedJobHandler
from stoflow_connector_vinted.handlers.timing import Timing
from stoflow_connector_vinted.schemas import OPTIONS_SCHEMA
from stoflow_connector_vinted.services.deletion import VintedDeletionService


class VintedDeleteHandler(VintedJobHandler):
    """One step, which may repeat: what is gone stays gone."""

    action = "delete"
    options_schema = OPTIONS_SCHEMA
    requires_product = True
    # An article that is sold elsewhere must not be sold here meanwhile.
    default_priority: ClassVar[Priority] = Priority.HIGH
    default_max_retries: ClassVar[int] = 10

    def __init__(self, service: VintedDeletionService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> VintedDeletionService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return (TaskSpec("delete_item", self._timing.call),)
