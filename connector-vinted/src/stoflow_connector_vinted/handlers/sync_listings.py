"""The action "sync_listings": what the seller's wardrobe holds."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_sdk import TaskSpec, VintedJobHandler
from stoflow_connector_vinted.handlers.timing import Timing
from stoflow_connector_vinted.schemas import OPTIONS_SCHEMA
from stoflow_connector_vinted.services.sync import VintedSyncService


class VintedSyncListingsHandler(VintedJobHandler):
    """A page a task; what a whole scan did not see is read item by item before anything is said of it."""

    action = "sync_listings"
    options_schema = OPTIONS_SCHEMA
    default_max_retries: ClassVar[int] = 5

    def __init__(self, service: VintedSyncService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> VintedSyncService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return (
            TaskSpec("begin_listings", self._timing.call),
            TaskSpec("read_wardrobe", self._timing.call, follow_up=True),
            TaskSpec("finish_listings", self._timing.call),
            TaskSpec("confirm_missing", self._timing.page, follow_up=True),
        )
