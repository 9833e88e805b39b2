"""The action "publish": a product becomes a live listing of the account's shop."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_etsy.handlers.timing import Timing
from stoflow_connector_etsy.schemas import OPTIONS_SCHEMA, PRODUCT_SCHEMA
from stoflow_connector_etsy.services.publication import EtsyPublicationService
from stoflow_connector_sdk import DirectAPIJobHandler, Once, TaskSpec


class EtsyPublishHandler(DirectAPIJobHandler):
    """Preflight, draft, pictures, inventory, texts, listing."""

    action = "publish"
    options_schema = OPTIONS_SCHEMA
    product_schema = PRODUCT_SCHEMA
    requires_product = True
    default_max_retries: ClassVar[int] = 5
    expire_after_seconds: ClassVar[float] = 7 * 86_400

    def __init__(self, service: EtsyPublicationService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> EtsyPublicationService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        repeatable, once = self._timing.repeatable_seconds, self._timing.once_seconds
        settle = self._timing.settle_seconds
        return (
            TaskSpec("preflight", repeatable),
            # Etsy refuses no second draft. Last fence: only the stored one is activated, others are swept.
            TaskSpec("create_draft", once, once=Once("draft", "probe_draft", settle, "adopt_draft")),
            # Repeatable: what an attempt before left on the draft is removed first.
            TaskSpec("upload_image", repeatable, for_each="images"),
            # It waits for pictures that may still appear.
            TaskSpec("arrange_images", settle + 2 * repeatable),
            # Repeatable: absolute values, read and merged anew each time.
            TaskSpec("put_inventory", repeatable),
            TaskSpec("finish_draft", repeatable),
            # Last fence: a listing that is active stays as it is, and costs no second fee.
            TaskSpec("activate", once, once=Once("listing", "probe_listing", settle, "adopt_listing")),
        )
