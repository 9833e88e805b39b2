"""The action "publish": a product becomes an item in the seller's wardrobe."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_sdk import Once, TaskSpec, VintedJobHandler
from stoflow_connector_vinted.handlers.timing import Timing
from stoflow_connector_vinted.schemas import ITEM_OPTIONS_SCHEMA, PRODUCT_SCHEMA
from stoflow_connector_vinted.services.publication import VintedPublicationService


class VintedPublishHandler(VintedJobHandler):
    """Check, photos one by one, item."""

    action = "publish"
    options_schema = ITEM_OPTIONS_SCHEMA
    product_schema = PRODUCT_SCHEMA
    requires_product = True
    default_max_retries: ClassVar[int] = 5
    expire_after_seconds: ClassVar[float] = 7 * 86_400

    def __init__(self, service: VintedPublicationService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> VintedPublicationService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        timing = self._timing
        return (
            TaskSpec("check_product", timing.call),
            # Repeatable: a photo that no item shows is seen by nobody.
            TaskSpec("upload_photo", timing.call, for_each="images"),
            # Last fence: a browser performs a request id once, and Vinted assigns a photo to one item only.
            TaskSpec(
                "create_item",
                timing.once,
                once=Once("listing", "probe_item", timing.settle_seconds, "adopt_item"),
            ),
        )
