"""Looks whether the seller's browser can act."""

from stoflow_connector_sdk import TaskContext, TaskResult
from stoflow_connector_vinted.clients.vinted import VintedClient


class VintedConnectionService:
    """The step of check_connection."""

    def __init__(self, vinted: VintedClient) -> None:
        self._vinted = vinted

    async def check_connection(self, task: TaskContext) -> TaskResult:
        """Reads one entry of the wardrobe, which needs a signed-in seller."""
        page = await self._vinted.wardrobe_page(task, 1, per_page=1)
        return TaskResult({"userId": self._vinted.user_id(task), "items": page.total})
