"""The action "sync_orders": what the shop sold, cancellations and refunds included."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_etsy.handlers.timing import Timing
from stoflow_connector_etsy.schemas import ORDER_OPTIONS_SCHEMA
from stoflow_connector_etsy.services.sync import EtsySyncService
from stoflow_connector_sdk import DirectAPIJobHandler, TaskSpec


class EtsySyncOrdersHandler(DirectAPIJobHandler):
    """A page a task, each planned by the one before; reading may repeat."""

    action = "sync_orders"
    options_schema = ORDER_OPTIONS_SCHEMA
    default_max_retries: ClassVar[int] = 5

    def __init__(self, service: EtsySyncService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> EtsySyncService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return (
            TaskSpec("begin_orders", self._timing.repeatable_seconds),
            TaskSpec("read_orders", self._timing.scan_seconds, follow_up=True),
            TaskSpec("finish_orders", self._timing.repeatable_seconds),
        )
