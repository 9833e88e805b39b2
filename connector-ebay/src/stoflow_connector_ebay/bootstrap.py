"""The only place that constructs clients, services and handlers."""

from stoflow_connector_ebay.clients.account import AccountClient
from stoflow_connector_ebay.clients.analytics import AnalyticsClient
from stoflow_connector_ebay.clients.application import ApplicationTokens
from stoflow_connector_ebay.clients.fulfillment import FulfillmentClient
from stoflow_connector_ebay.clients.identity import IdentityClient
from stoflow_connector_ebay.clients.inventory import InventoryClient
from stoflow_connector_ebay.clients.item_pages import ItemPagesClient
from stoflow_connector_ebay.clients.location import LocationClient
from stoflow_connector_ebay.clients.media import MediaClient
from stoflow_connector_ebay.clients.notification import SigningKeyClient
from stoflow_connector_ebay.clients.oauth import OAuthClient
from stoflow_connector_ebay.clients.pacing import PacedHttpClient, QuotaReader, make_limiter
from stoflow_connector_ebay.clients.reference import ReferenceClient
from stoflow_connector_ebay.default_mappings import DEFAULT_MAPPINGS
from stoflow_connector_ebay.handlers.delete import EbayDeleteHandler
from stoflow_connector_ebay.handlers.publish import EbayPublishHandler
from stoflow_connector_ebay.handlers.sync_listings import EbayListingSyncHandler
from stoflow_connector_ebay.handlers.sync_orders import EbayOrderSyncHandler
from stoflow_connector_ebay.handlers.timing import Timing
from stoflow_connector_ebay.handlers.update import EbayUpdateHandler
from stoflow_connector_ebay.schemas import ACCOUNT_SETTINGS_SCHEMA
from stoflow_connector_ebay.services.connection import EbayConnectionService
from stoflow_connector_ebay.services.deletion import EbayDeletionService
from stoflow_connector_ebay.services.notifications import EbayNotifications
from stoflow_connector_ebay.services.pictures import PictureUploads
from stoflow_connector_ebay.services.preflight import Preflight
from stoflow_connector_ebay.services.publication import EbayPublicationService
from stoflow_connector_ebay.services.sync import EbaySyncService
from stoflow_connector_ebay.services.update import EbayUpdateService
from stoflow_connector_ebay.settings import EbaySettings
from stoflow_connector_sdk import (
    BaseJobHandler,
    CatalogueImages,
    ConnectorDefinition,
    MarketplaceHttpClient,
    OAuthDescription,
    WebhookEndpoint,
)
from stoflow_service_kit.clock import SystemClock

_SCOPE = "https://api.ebay.com/oauth/api_scope"
SCOPES = (
    _SCOPE,
    f"{_SCOPE}/sell.inventory",
    f"{_SCOPE}/sell.fulfillment",
    f"{_SCOPE}/sell.account",
    f"{_SCOPE}/commerce.identity.readonly",
    f"{_SCOPE}/commerce.notification.subscription",
)
"""What sellers are asked for; refreshing keeps them."""

# Raise it with every change of the manifest: schemas, steps, effects, mappings.
PLAN_VERSION = "4"
# Their steps are all here still, and do with what these planned.
_EARLIER_VERSIONS = ("1", "2", "3")


def make_definition(settings: EbaySettings) -> ConnectorDefinition:
    """Builds the connector; its HTTP connections are closed by the definition's closers."""
    timeout = settings.ebay_request_timeout_seconds
    # Apart from each other: pictures that a slow catalogue holds back must not use up eBay's connections, and what
    # tells how many calls are left must not wait for one.
    plain = MarketplaceHttpClient(timeout_seconds=timeout)
    catalogue = MarketplaceHttpClient(timeout_seconds=timeout)
    secret = settings.ebay_client_secret.get_secret_value()
    oauth = OAuthClient(plain, settings.ebay_auth_url, settings.ebay_client_id, secret)
    application = ApplicationTokens(plain, settings.ebay_auth_url, settings.ebay_client_id, secret)
    limiter = make_limiter()
    quotas = QuotaReader(AnalyticsClient(plain, settings.ebay_api_url), application, limiter)
    ebay = PacedHttpClient(limiter, quotas, timeout_seconds=timeout)
    timing = Timing(timeout, settings.ebay_settle_seconds)
    version = manifest_version(timing)
    return ConnectorDefinition(
        marketplace="ebay",
        display_name="eBay",
        version=version,
        handlers=_make_handlers(settings, timing, ebay, catalogue, application),
        account_settings_schema=ACCOUNT_SETTINGS_SCHEMA,
        token_refresher=oauth,
        oauth=OAuthDescription(
            authorize_url=f"{settings.ebay_consent_url}/oauth2/authorize",
            client_id=settings.ebay_client_id,
            scopes=SCOPES,
        ),
        code_exchanger=EbayConnectionService(oauth, IdentityClient(ebay, settings.ebay_identity_url)),
        webhooks=_make_webhooks(settings, SigningKeyClient(ebay, settings.ebay_api_url, application)),
        # The steps are the same whatever the times, so tasks planned with the usual ones still run here.
        supported_versions=[*_EARLIER_VERSIONS, *([] if version == PLAN_VERSION else [PLAN_VERSION])],
        default_mappings=DEFAULT_MAPPINGS,
        closers=[ebay.aclose, plain.aclose, catalogue.aclose],
    )


def _make_handlers(
    settings: EbaySettings,
    timing: Timing,
    ebay: MarketplaceHttpClient,
    catalogue: MarketplaceHttpClient,
    application: ApplicationTokens,
) -> list[BaseJobHandler]:
    api_url = settings.ebay_api_url
    inventory = InventoryClient(ebay, api_url)
    pictures = PictureUploads(CatalogueImages(catalogue), MediaClient(ebay, settings.ebay_media_url))
    preflight = Preflight(
        AccountClient(ebay, api_url),
        LocationClient(ebay, api_url),
        ReferenceClient(ebay, api_url),
        application,
        SystemClock(),
    )
    sync = EbaySyncService(FulfillmentClient(ebay, api_url), ItemPagesClient(ebay, api_url), inventory)
    return [
        EbayPublishHandler(EbayPublicationService(preflight, pictures, inventory), timing),
        EbayUpdateHandler(EbayUpdateService(pictures, inventory), timing),
        EbayDeleteHandler(EbayDeletionService(inventory), timing),
        EbayOrderSyncHandler(sync, timing),
        EbayListingSyncHandler(sync, timing),
    ]


def _make_webhooks(settings: EbaySettings, keys: SigningKeyClient) -> list[WebhookEndpoint]:
    if settings.ebay_notification_url is None or settings.ebay_verification_token is None:
        return []
    token = settings.ebay_verification_token.get_secret_value()
    return [EbayNotifications(keys, settings.ebay_notification_url, token)]


def manifest_version(timing: Timing) -> str:
    """Names the manifest's content: the times are part of it, and a version must never have two contents."""
    usual = EbaySettings.model_fields
    if (timing.request_timeout_seconds, timing.settle_seconds) == (
        usual["ebay_request_timeout_seconds"].default,
        usual["ebay_settle_seconds"].default,
    ):
        return PLAN_VERSION
    return f"{PLAN_VERSION}+timeout.{timing.request_timeout_seconds:g}.settle.{timing.settle_seconds:g}"
