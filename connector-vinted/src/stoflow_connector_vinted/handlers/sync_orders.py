"""The action "sync_orders": what the seller sold."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_sdk import TaskSpec, VintedJobHandler
from stoflow_connector_vinted.handlers.timing import Timing
from stoflow_connector_vinted.schemas import ORDER_OPTIONS_SCHEMA
from stoflow_connector_vinted.services.sync import VintedSyncService


class VintedSyncOrdersHandler(VintedJobHandler):
    """A page a task, newest first, until sales are older than what is asked for."""

    action = "sync_orders"
    options_schema = ORDER_OPTIONS_SCHEMA
    default_max_retries: ClassVar[int] = 5

    def __init__(self, service: VintedSyncService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> VintedSyncService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return (
            TaskSpec("begin_orders", self._timing.call),
            TaskSpec("read_orders", self._timing.page, follow_up=True),
            TaskSpec("finish_orders", self._timing.call),
        )
