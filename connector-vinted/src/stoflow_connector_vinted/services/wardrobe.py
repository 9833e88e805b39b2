"""The whole wardrobe, page by page."""

from collections.abc import AsyncIterator

from stoflow_connector_sdk import EffectOutcome, NeedsHumanError, TaskContext
from stoflow_connector_vinted.clients.vinted import VintedClient, WardrobeItem, wardrobe_item

MAX_PAGES = 50


class Wardrobe:
    """Everything that a seller offers and has sold, newest first."""

    def __init__(self, vinted: VintedClient) -> None:
        self._vinted = vinted

    async def items(self, task: TaskContext) -> AsyncIterator[WardrobeItem]:
        """Yields every item; whoever reads to the end has seen all of them.

        Raises:
            NeedsHumanError: The wardrobe is too large to be read at once.
            ConnectorError: A page could not be read, so nothing may be concluded.
        """
        page = 1
        while True:
            found = await self._vinted.wardrobe_page(task, page)
            for entry in found.entries:
                if (item := wardrobe_item(entry)) is not None:
                    yield item
            if page >= found.total_pages:
                return
            page += 1
            if page > MAX_PAGES:
                raise NeedsHumanError(
                    f"The wardrobe has {found.total_pages} pages; whether the item is there, a person must look.",
                    effect=EffectOutcome.UNKNOWN,
                    code="WARDROBE_TOO_LARGE",
                )
