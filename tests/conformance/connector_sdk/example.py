"""A connector as small as one can be: pictures, then one listing, at a marketplace in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stoflow_connector_sdk import (
    Absent,
    ConnectorDefinition,
    DirectAPIJobHandler,
    Found,
    ListingChange,
    ListingState,
    Once,
    TaskContext,
    TaskResult,
    TaskSpec,
    Unclear,
)


@dataclass
class Shelf:
    """The marketplace: what it holds, by the reference it was sent under."""

    pictures: list[str] = field(default_factory=list)
    listings: dict[str, str] = field(default_factory=dict)


class ExamplePublicationService:
    """Publishes on the shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def upload_image(self, task: TaskContext) -> TaskResult:
        self._shelf.pictures.append(task.image.image_id)
        return TaskResult(output={"picture": len(self._shelf.pictures)})

    async def create_listing(self, task: TaskContext) -> TaskResult:
        assert task.effect is not None
        pictures = [output["picture"] for output in task.outputs.list("upload_image")]
        remote_id = f"listing-{len(self._shelf.listings) + 1}"
        self._shelf.listings[task.effect.reference] = remote_id
        return self._result(remote_id, {"pictures": pictures})

    async def probe_listing(self, task: TaskContext) -> Found | Absent | Unclear:
        assert task.effect is not None
        remote_id = self._shelf.listings.get(task.effect.reference)
        return Absent() if remote_id is None else Found(self._result(remote_id, {"adopted": True}))

    @staticmethod
    def _result(remote_id: str, output: dict[str, object]) -> TaskResult:
        listing = ListingChange(
            remote_id=remote_id,
            url=f"https://shelf.example/{remote_id}",
            state=ListingState.LISTING_STATE_LIVE,
        )
        return TaskResult(output=output, remote_id=remote_id, listing=listing)


class ExamplePublishHandler(DirectAPIJobHandler):
    """Publishes a product."""

    action = "publish"
    requires_product = True
    options_schema = {"type": "object", "additionalProperties": False}  # noqa: RUF012 - a ClassVar of the base

    def __init__(self, service: ExamplePublicationService) -> None:
        self._service = service

    def get_service(self) -> ExamplePublicationService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return [
            TaskSpec("upload_image", 30, for_each="images"),
            TaskSpec("create_listing", 30, once=Once("listing", probe="probe_listing", settle_seconds=0.2)),
        ]


def make_definition(shelf: Shelf | None = None) -> ConnectorDefinition:
    """Builds the connector."""
    return ConnectorDefinition(
        marketplace="shelf",
        display_name="The shelf",
        version="1",
        handlers=[ExamplePublishHandler(ExamplePublicationService(shelf or Shelf()))],
        account_settings_schema={"type": "object"},
        supported_versions=["0"],
        default_mappings={"condition": {"GOOD": "used"}},
    )
