"""The only place that constructs clients, services and handlers."""

from stoflow_connector_etsy.clients.caller import EtsyCaller
from stoflow_connector_etsy.clients.limits import EtsyLimits
from stoflow_connector_etsy.clients.listings import ListingsClient
from stoflow_connector_etsy.clients.oauth import OAuthClient
from stoflow_connector_etsy.clients.pictures import PicturesClient
from stoflow_connector_etsy.clients.receipts import ReceiptsClient
from stoflow_connector_etsy.clients.shop import ShopClient
from stoflow_connector_etsy.default_mappings import DEFAULT_MAPPINGS
from stoflow_connector_etsy.handlers.delete import EtsyDeleteHandler
from stoflow_connector_etsy.handlers.publish import EtsyPublishHandler
from stoflow_connector_etsy.handlers.sync_listings import EtsySyncListingsHandler
from stoflow_connector_etsy.handlers.sync_orders import EtsySyncOrdersHandler
from stoflow_connector_etsy.handlers.timing import Timing
from stoflow_connector_etsy.handlers.update import EtsyUpdateHandler
from stoflow_connector_etsy.schemas import ACCOUNT_SETTINGS_SCHEMA
from stoflow_connector_etsy.services.connection import SCOPES, EtsyConnectionService
from stoflow_connector_etsy.services.deletion import EtsyDeletionService
from stoflow_connector_etsy.services.listing_finder import ListingFinder
from stoflow_connector_etsy.services.picture_order import PictureOrder
from stoflow_connector_etsy.services.picture_update import PictureUpdate
from stoflow_connector_etsy.services.preflight import Preflight
from stoflow_connector_etsy.services.publication import EtsyPublicationService
from stoflow_connector_etsy.services.sync import EtsySyncService
from stoflow_connector_etsy.services.update import EtsyUpdateService
from stoflow_connector_etsy.settings import EtsySettings
from stoflow_connector_etsy.webhooks import EtsyWebhook
from stoflow_connector_sdk import (
    BaseJobHandler,
    CatalogueImages,
    ConnectorDefinition,
    MarketplaceHttpClient,
    OAuthDescription,
    RateLimiter,
)

# Raise it with every change of the manifest: schemas, steps, effects, mappings.
PLAN_VERSION = "1"


def make_definition(settings: EtsySettings) -> ConnectorDefinition:
    """Builds the connector; its HTTP connections are closed by the definition's closers."""
    timeout = settings.etsy_request_timeout_seconds
    # Apart from each other: pictures that a slow catalogue holds back must not use up Etsy's connections.
    etsy = MarketplaceHttpClient(timeout_seconds=timeout)
    catalogue = MarketplaceHttpClient(timeout_seconds=timeout)
    timing = Timing(timeout, settings.etsy_settle_seconds)
    secret = settings.etsy_shared_secret.get_secret_value()
    caller = EtsyCaller(
        etsy,
        settings.etsy_api_url,
        f"{settings.etsy_keystring}:{secret}",
        EtsyLimits(RateLimiter()),
    )
    oauth = OAuthClient(etsy, settings.etsy_auth_url, settings.etsy_keystring)
    version = manifest_version(timing)
    return ConnectorDefinition(
        marketplace="etsy",
        display_name="Etsy",
        version=version,
        handlers=make_handlers(caller, CatalogueImages(catalogue), timing),
        account_settings_schema=ACCOUNT_SETTINGS_SCHEMA,
        token_refresher=oauth,
        oauth=OAuthDescription(
            authorize_url=settings.etsy_consent_url,
            client_id=settings.etsy_keystring,
            scopes=SCOPES,
            pkce=True,
        ),
        code_exchanger=EtsyConnectionService(oauth, ShopClient(caller)),
        webhooks=make_webhooks(settings),
        # The steps are the same whatever the times, so tasks planned with the usual ones still run here.
        supported_versions=[] if version == PLAN_VERSION else [PLAN_VERSION],
        default_mappings=DEFAULT_MAPPINGS,
        closers=[etsy.aclose, catalogue.aclose],
    )


def make_handlers(caller: EtsyCaller, catalogue: CatalogueImages, timing: Timing) -> list[BaseJobHandler]:
    """Builds the handler of every action."""
    listings = ListingsClient(caller)
    finder = ListingFinder(listings)
    picture_client = PicturesClient(caller)
    pictures = PictureOrder(catalogue, picture_client, listings)
    updates = EtsyUpdateService(listings, finder, PictureUpdate(pictures, picture_client, listings))
    publication = EtsyPublicationService(
        listings, finder, pictures, Preflight(ShopClient(caller)), timing.settle_seconds
    )
    sync = EtsySyncService(listings, ReceiptsClient(caller))
    return [
        EtsyPublishHandler(publication, timing),
        EtsyUpdateHandler(updates, timing),
        EtsyDeleteHandler(EtsyDeletionService(listings, finder), timing),
        EtsySyncListingsHandler(sync, timing),
        EtsySyncOrdersHandler(sync, timing),
    ]


def make_webhooks(settings: EtsySettings) -> list[EtsyWebhook]:
    """Builds the endpoint for notifications, when there is a secret to check them with."""
    secret = settings.etsy_webhook_secret
    return [] if secret is None else [EtsyWebhook(secret.get_secret_value())]


def manifest_version(timing: Timing) -> str:
    """Names the manifest's content: the times are part of it, and a version must never have two contents."""
    usual = EtsySettings.model_fields
    if (timing.request_timeout_seconds, timing.settle_seconds) == (
        usual["etsy_request_timeout_seconds"].default,
        usual["etsy_settle_seconds"].default,
    ):
        return PLAN_VERSION
    return f"{PLAN_VERSION}+timeout.{timing.request_timeout_seconds:g}.settle.{timing.settle_seconds:g}"
