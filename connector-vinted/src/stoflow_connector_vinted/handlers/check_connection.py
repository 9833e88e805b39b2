"""The action "check_connection": whether the seller's browser can act."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_sdk import TaskSpec, VintedJobHandler
from stoflow_connector_vinted.handlers.timing import Timing
from stoflow_connector_vinted.schemas import OPTIONS_SCHEMA
from stoflow_connector_vinted.services.connection import VintedConnectionService


class VintedCheckConnectionHandler(VintedJobHandler):
    """One harmless call."""

    action = "check_connection"
    options_schema = OPTIONS_SCHEMA
    default_max_retries: ClassVar[int] = 1

    def __init__(self, service: VintedConnectionService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> VintedConnectionService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return (TaskSpec("check_connection", self._timing.call),)
