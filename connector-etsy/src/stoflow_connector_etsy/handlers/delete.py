"""The action "delete": a product's listing leaves the market."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_etsy.handlers.timing import Timing
from stoflow_connector_etsy.schemas import DELETE_OPTIONS_SCHEMA
from stoflow_connector_etsy.services.deletion import EtsyDeletionService
from stoflow_connector_sdk import DirectAPIJobHandler, Priority, TaskSpec


class EtsyDeleteHandler(DirectAPIJobHandler):
    """One step, which may repeat: what is ended stays ended."""

    action = "delete"
    options_schema = DELETE_OPTIONS_SCHEMA
    requires_product = True
    # An article that is sold elsewhere must not be sold here meanwhile.
    default_priority: ClassVar[Priority] = Priority.HIGH
    default_max_retries: ClassVar[int] = 10

    def __init__(self, service: EtsyDeletionService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> EtsyDeletionService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return (TaskSpec("end_listing", self._timing.scan_seconds),)
