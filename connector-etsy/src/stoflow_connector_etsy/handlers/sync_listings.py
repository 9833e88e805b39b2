"""The action "sync_listings": what the shop has, in every state, with its SKUs."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_etsy.handlers.timing import Timing
from stoflow_connector_etsy.schemas import OPTIONS_SCHEMA
from stoflow_connector_etsy.services.sync import EtsySyncService
from stoflow_connector_sdk import DirectAPIJobHandler, TaskSpec


class EtsySyncListingsHandler(DirectAPIJobHandler):
    """A page a task, each planned by the one before; reading may repeat."""

    action = "sync_listings"
    options_schema = OPTIONS_SCHEMA
    default_max_retries: ClassVar[int] = 5

    def __init__(self, service: EtsySyncService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> EtsySyncService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return (
            TaskSpec("begin_listings", self._timing.repeatable_seconds),
            TaskSpec("read_listings", self._timing.scan_seconds, follow_up=True),
            TaskSpec("finish_listings", self._timing.repeatable_seconds),
            TaskSpec("check_listings", self._timing.scan_seconds, follow_up=True),
        )
