"""The action "publish": a product becomes a live listing on one eBay site."""

from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_ebay.handlers.timing import Timing
from stoflow_connector_ebay.schemas import OPTIONS_SCHEMA, PRODUCT_SCHEMA
from stoflow_connector_ebay.services.publication import EbayPublicationService
from stoflow_connector_sdk import DirectAPIJobHandler, Once, TaskSpec


class EbayPublishHandler(DirectAPIJobHandler):
    """A look at what eBay asks for, pictures, inventory item, offer, listing."""

    action = "publish"
    options_schema = OPTIONS_SCHEMA
    product_schema = PRODUCT_SCHEMA
    requires_product = True
    default_max_retries: ClassVar[int] = 5
    # Well below the 30 days after which eBay removes pictures that no listing shows.
    expire_after_seconds: ClassVar[float] = 7 * 86_400

    def __init__(self, service: EbayPublicationService, timing: Timing) -> None:
        self._service = service
        self._timing = timing

    def get_service(self) -> EbayPublicationService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        repeatable, once = self._timing.repeatable_seconds, self._timing.once_seconds
        settle = self._timing.settle_seconds
        return (
            # Repeatable: it only asks.
            TaskSpec("preflight", self._timing.preflight_seconds),
            # Repeatable: a second upload leaves an orphan on the picture server, which expires by itself.
            TaskSpec("upload_image", repeatable, for_each="images"),
            # Repeatable: the PUT replaces the whole record.
            TaskSpec("put_inventory_item", repeatable),
            # Last fence: eBay keeps one offer for each SKU, site and format.
            TaskSpec("create_offer", once, once=Once("offer", "probe_offer", settle, "adopt_offer")),
            # Last fence: a published offer keeps its listing.
            TaskSpec("publish_offer", once, once=Once("listing", "probe_listing", settle, "adopt_listing")),
        )
