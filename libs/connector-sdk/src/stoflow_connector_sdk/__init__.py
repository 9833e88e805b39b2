"""What a connector team installs: handlers, runtime, error classes."""

from stoflow.catalog.v1.listing_pb2 import ListingState
from stoflow.catalog.v1.order_pb2 import OrderState
from stoflow.common.v1.money_pb2 import Money
from stoflow.connector.v1.task_pb2 import ListingChange, OrderChange, OrderLineChange

from stoflow_connector_sdk.bootstrap import run_connector
from stoflow_connector_sdk.credentials import (
    Authorization,
    CodeExchanger,
    ConnectedAccount,
    OAuthDescription,
    RefreshedTokens,
    TokenRefresher,
)
from stoflow_connector_sdk.definition import ConnectorDefinition
from stoflow_connector_sdk.errors import (
    AuthRequiredError,
    ConnectorError,
    DefinitionError,
    EffectOutcome,
    ErrorClass,
    LeaseTooShortError,
    NeedsHumanError,
    PermanentError,
    RateLimitedError,
    RateLimitScope,
    RetryableError,
    SellerOfflineError,
    StopRequestedError,
    Violation,
)
from stoflow_connector_sdk.handlers import BaseJobHandler, DirectAPIJobHandler, VintedJobHandler
from stoflow_connector_sdk.http.catalogue import CatalogueImages
from stoflow_connector_sdk.http.client import MarketplaceHttpClient
from stoflow_connector_sdk.http.failures import raise_for_common_status, retry_after_seconds
from stoflow_connector_sdk.http.limits import RateLimiter
from stoflow_connector_sdk.http.rates import Rate
from stoflow_connector_sdk.http.transport import effect_after, effect_so_far
from stoflow_connector_sdk.lease import Lease
from stoflow_connector_sdk.results import Absent, FollowUp, Found, ProbeResult, TaskResult, Unclear
from stoflow_connector_sdk.sessions import Gateway, SessionClient
from stoflow_connector_sdk.settings import ConnectorSettings
from stoflow_connector_sdk.specs import ConnectionKind, Once, Priority, Routing, TaskSpec
from stoflow_connector_sdk.task import (
    AccountListing,
    EffectGrant,
    EffectMode,
    ProductListing,
    SyncState,
    TaskContext,
    TaskOutputs,
    current_task,
)
from stoflow_connector_sdk.webhooks import Hint, HintKind, WebhookAnswer, WebhookEndpoint, WebhookRequest

__all__ = [
    "Absent",
    "AccountListing",
    "AuthRequiredError",
    "Authorization",
    "BaseJobHandler",
    "CatalogueImages",
    "CodeExchanger",
    "ConnectedAccount",
    "ConnectionKind",
    "ConnectorDefinition",
    "ConnectorError",
    "ConnectorSettings",
    "DefinitionError",
    "DirectAPIJobHandler",
    "EffectGrant",
    "EffectMode",
    "EffectOutcome",
    "ErrorClass",
    "FollowUp",
    "Found",
    "Gateway",
    "Hint",
    "HintKind",
    "Lease",
    "LeaseTooShortError",
    "ListingChange",
    "ListingState",
    "MarketplaceHttpClient",
    "Money",
    "NeedsHumanError",
    "OAuthDescription",
    "Once",
    "OrderChange",
    "OrderLineChange",
    "OrderState",
    "PermanentError",
    "Priority",
    "ProbeResult",
    "ProductListing",
    "Rate",
    "RateLimitScope",
    "RateLimitedError",
    "RateLimiter",
    "RefreshedTokens",
    "RetryableError",
    "Routing",
    "SellerOfflineError",
    "SessionClient",
    "StopRequestedError",
    "SyncState",
    "TaskContext",
    "TaskOutputs",
    "TaskResult",
    "TaskSpec",
    "TokenRefresher",
    "Unclear",
    "VintedJobHandler",
    "Violation",
    "WebhookAnswer",
    "WebhookEndpoint",
    "WebhookRequest",
    "current_task",
    "effect_after",
    "effect_so_far",
    "raise_for_common_status",
    "retry_after_seconds",
    "run_connector",
]
