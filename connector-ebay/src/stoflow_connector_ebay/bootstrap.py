"""The only place that constructs clients, services and handlers."""

from stoflow_connector_ebay.clients.account import AccountClient
from stoflow_connector_ebay.clients.application import ApplicationTokens
from stoflow_connector_ebay.clients.fulfillment import FulfillmentClient
from stoflow_connector_ebay.clients.inventory import InventoryClient
from stoflow_connector_ebay.clients.item_pages import ItemPagesClient
from stoflow_connector_ebay.clients.location import LocationClient
from stoflow_connector_ebay.clients.media import MediaClient
from stoflow_connector_ebay.clients.oauth import OAuthClient
from stoflow_connector_ebay.clients.reference import ReferenceClient
from stoflow_connector_ebay.default_mappings import DEFAULT_MAPPINGS
from stoflow_connector_ebay.handlers.delete import EbayDeleteHandler
from stoflow_connector_ebay.handlers.publish import EbayPublishHandler
from stoflow_connector_ebay.handlers.sync_listings import EbayListingSyncHandler
from stoflow_connector_ebay.handlers.sync_orders import EbayOrderSyncHandler
from stoflow_connector_ebay.handlers.timing import Timing
from stoflow_connector_ebay.handlers.update import EbayUpdateHandler
from stoflow_connector_ebay.schemas import ACCOUNT_SETTINGS_SCHEMA
from stoflow_connector_ebay.services.deletion import EbayDeletionService
from stoflow_connector_ebay.services.pictures import PictureUploads
from stoflow_connector_ebay.services.preflight import Preflight
from stoflow_connector_ebay.services.publication import EbayPublicationService
from stoflow_connector_ebay.services.sync import EbaySyncService
from stoflow_connector_ebay.services.update import EbayUpdateService
from stoflow_connector_ebay.settings import EbaySettings
from stoflow_connector_sdk import CatalogueImages, ConnectorDefinition, MarketplaceHttpClient
from stoflow_service_kit.clock import SystemClock

# Raise it with every change of the manifest: schemas, steps, effects, mappings.
PLAN_VERSION = "3"
# Their steps are all here still, and do with what these planned.
_EARLIER_VERSIONS = ("1", "2")


def make_definition(settings: EbaySettings) -> ConnectorDefinition:
    """Builds the connector; its HTTP connections are closed by the definition's closers."""
    timeout = settings.ebay_request_timeout_seconds
    # Apart from each other: pictures that a slow catalogue holds back must not use up eBay's connections.
    ebay = MarketplaceHttpClient(timeout_seconds=timeout)
    catalogue = MarketplaceHttpClient(timeout_seconds=timeout)
    timing = Timing(timeout, settings.ebay_settle_seconds)
    inventory = InventoryClient(ebay, settings.ebay_api_url)
    pictures = PictureUploads(CatalogueImages(catalogue), MediaClient(ebay, settings.ebay_media_url))
    publication = EbayPublicationService(_make_preflight(settings, ebay), pictures, inventory)
    sync = EbaySyncService(
        FulfillmentClient(ebay, settings.ebay_api_url),
        ItemPagesClient(ebay, settings.ebay_api_url),
        inventory,
    )
    version = manifest_version(timing)
    return ConnectorDefinition(
        marketplace="ebay",
        display_name="eBay",
        version=version,
        handlers=[
            EbayPublishHandler(publication, timing),
            EbayUpdateHandler(EbayUpdateService(pictures, inventory), timing),
            EbayDeleteHandler(EbayDeletionService(inventory), timing),
            EbayOrderSyncHandler(sync, timing),
            EbayListingSyncHandler(sync, timing),
        ],
        account_settings_schema=ACCOUNT_SETTINGS_SCHEMA,
        token_refresher=OAuthClient(
            ebay,
            settings.ebay_auth_url,
            settings.ebay_client_id,
            settings.ebay_client_secret.get_secret_value(),
        ),
        # The steps are the same whatever the times, so tasks planned with the usual ones still run here.
        supported_versions=[*_EARLIER_VERSIONS, *([] if version == PLAN_VERSION else [PLAN_VERSION])],
        default_mappings=DEFAULT_MAPPINGS,
        closers=[ebay.aclose, catalogue.aclose],
    )


def _make_preflight(settings: EbaySettings, http: MarketplaceHttpClient) -> Preflight:
    return Preflight(
        AccountClient(http, settings.ebay_api_url),
        LocationClient(http, settings.ebay_api_url),
        ReferenceClient(http, settings.ebay_api_url),
        ApplicationTokens(
            http,
            settings.ebay_auth_url,
            settings.ebay_client_id,
            settings.ebay_client_secret.get_secret_value(),
        ),
        SystemClock(),
    )


def manifest_version(timing: Timing) -> str:
    """Names the manifest's content: the times are part of it, and a version must never have two contents."""
    usual = EbaySettings.model_fields
    if (timing.request_timeout_seconds, timing.settle_seconds) == (
        usual["ebay_request_timeout_seconds"].default,
        usual["ebay_settle_seconds"].default,
    ):
        return PLAN_VERSION
    return f"{PLAN_VERSION}+timeout.{timing.request_timeout_seconds:g}.settle.{timing.settle_seconds:g}"
