"""The only place that constructs gateway, clients, services and handlers."""

from stoflow_connector_sdk import ConnectionKind, ConnectorDefinition
from stoflow_connector_vinted.clients.browser import ANSWER_MARGIN_SECONDS, BrowserClient, Pace
from stoflow_connector_vinted.clients.vinted import VintedClient
from stoflow_connector_vinted.default_mappings import DEFAULT_MAPPINGS
from stoflow_connector_vinted.gateway.server import GatewaySettings, VintedGateway
from stoflow_connector_vinted.handlers.check_connection import VintedCheckConnectionHandler
from stoflow_connector_vinted.handlers.delete import VintedDeleteHandler
from stoflow_connector_vinted.handlers.publish import VintedPublishHandler
from stoflow_connector_vinted.handlers.sync_listings import VintedSyncListingsHandler
from stoflow_connector_vinted.handlers.sync_orders import VintedSyncOrdersHandler
from stoflow_connector_vinted.handlers.timing import Timing
from stoflow_connector_vinted.handlers.update import VintedUpdateHandler
from stoflow_connector_vinted.schemas import ACCOUNT_SETTINGS_SCHEMA
from stoflow_connector_vinted.services.connection import VintedConnectionService
from stoflow_connector_vinted.services.deletion import VintedDeletionService
from stoflow_connector_vinted.services.publication import VintedPublicationService
from stoflow_connector_vinted.services.sync import VintedSyncService
from stoflow_connector_vinted.services.update import VintedUpdateService
from stoflow_connector_vinted.services.wardrobe import Wardrobe
from stoflow_connector_vinted.settings import VintedSettings

# Raise it with every change of the manifest: schemas, steps, effects, mappings.
PLAN_VERSION = "1"


def make_definition(settings: VintedSettings) -> ConnectorDefinition:
    """Builds the connector; its gateway listens once the orchestrator knows the instance."""
    gateway = VintedGateway(
        GatewaySettings(
            settings.vinted_gateway_address,
            settings.origins,
            settings.vinted_tls_certificate,
            settings.vinted_tls_private_key,
        )
    )
    pace = Pace(settings.vinted_pace_seconds, settings.vinted_call_timeout_seconds)
    timing = Timing(
        pace.interval_seconds + pace.timeout_seconds + ANSWER_MARGIN_SECONDS, settings.vinted_settle_seconds
    )
    vinted = VintedClient(BrowserClient(gateway, pace))
    site = settings.vinted_site_url
    sync = VintedSyncService(vinted, site)
    version = manifest_version(settings)
    return ConnectorDefinition(
        marketplace="vinted",
        display_name="Vinted",
        version=version,
        handlers=[
            VintedPublishHandler(VintedPublicationService(vinted, Wardrobe(vinted), site), timing),
            VintedUpdateHandler(VintedUpdateService(vinted, site), timing),
            VintedDeleteHandler(VintedDeletionService(vinted, site), timing),
            VintedSyncListingsHandler(sync, timing),
            VintedSyncOrdersHandler(sync, timing),
            VintedCheckConnectionHandler(VintedConnectionService(vinted), timing),
        ],
        account_settings_schema=ACCOUNT_SETTINGS_SCHEMA,
        # The steps are the same whatever the times, so tasks planned with the usual ones still run here.
        supported_versions=[] if version == PLAN_VERSION else [PLAN_VERSION],
        default_mappings=DEFAULT_MAPPINGS,
        connection=ConnectionKind.BROWSER,
        # A person does one thing at a time.
        max_jobs_per_account=1,
        gateway=gateway,
    )


def manifest_version(settings: VintedSettings) -> str:
    """Names the manifest's content: the times are part of it, and a version must never have two contents."""
    names = ("vinted_pace_seconds", "vinted_call_timeout_seconds", "vinted_settle_seconds")
    times = [getattr(settings, name) for name in names]
    if times == [VintedSettings.model_fields[name].default for name in names]:
        return PLAN_VERSION
    return f"{PLAN_VERSION}+times." + ".".join(f"{time:g}" for time in times)
