"""What a connector is: the one object that it hands to the runtime and to the conformance suite."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from stoflow.connector.v1.manifest_pb2 import Manifest

from stoflow_connector_sdk.connection import ConnectHandler
from stoflow_connector_sdk.credentials import CodeExchanger, OAuthDescription, TokenRefresher
from stoflow_connector_sdk.errors import DefinitionError
from stoflow_connector_sdk.handlers import BaseJobHandler
from stoflow_connector_sdk.manifest import build_manifest, definition_problems
from stoflow_connector_sdk.sessions import Gateway
from stoflow_connector_sdk.specs import ConnectionKind
from stoflow_connector_sdk.webhooks import WebhookEndpoint


@dataclass(frozen=True, kw_only=True)
class ConnectorDefinition:
    """Everything a connector consists of.

    Attributes:
        marketplace: Name to register as: "ebay".
        display_name: Name for people: "eBay".
        version: Names the manifest's content for ever: another content needs another version.
        handlers: One an action; "connect" is the SDK's own.
        account_settings_schema: JSON Schema of an account's settings; None accepts none.
        token_refresher: How to refresh access tokens; None for a marketplace without OAuth.
        oauth: Where sellers authorize us; None for a marketplace without OAuth. Not part of what a version names.
        code_exchanger: What makes tokens of their consent; given with `oauth`.
        supported_versions: Earlier manifest versions whose tasks it can still run.
        default_mappings: The marketplace's own values of reference attributes, used where an operator has
            set no
            other: `{"category": {"clothing/women/dresses": "63861"}, "condition": {"VERY_GOOD": "..."}}`.
        closers: Called at the end, such as `client.aclose`.
        webhooks: Where the marketplace sends notifications.
        connection: How sellers connect accounts.
        max_jobs_per_account: How many jobs of a new account may be admitted at once; 0 for no limit.
        gateway: Where sellers' browsers connect; None for a marketplace without them.
    """

    marketplace: str
    display_name: str
    version: str
    handlers: Sequence[BaseJobHandler]
    account_settings_schema: Mapping[str, Any] | None = None
    token_refresher: TokenRefresher | None = None
    oauth: OAuthDescription | None = None
    code_exchanger: CodeExchanger | None = None
    supported_versions: Sequence[str] = ()
    default_mappings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    closers: Sequence[Callable[[], Awaitable[None]]] = ()
    webhooks: Sequence[WebhookEndpoint] = ()
    connection: ConnectionKind = ConnectionKind.OAUTH
    max_jobs_per_account: int = 0
    gateway: Gateway | None = None

    @cached_property
    def all_handlers(self) -> Sequence[BaseJobHandler]:
        """The connector's own handlers, and the SDK's for the connection of accounts."""
        if self.code_exchanger is None:
            return tuple(self.handlers)
        return (*self.handlers, ConnectHandler(self.code_exchanger))

    @cached_property
    def handlers_by_action(self) -> Mapping[str, BaseJobHandler]:
        """All handlers by their actions."""
        return {handler.action: handler for handler in self.all_handlers}

    def registered_as(self, marketplace: str) -> "ConnectorDefinition":
        """Returns the same connector under another marketplace name, such as "ebay-sandbox"."""
        return dataclasses.replace(self, marketplace=marketplace)

    def check(self) -> None:
        """Makes sure that the definition holds together.

        Raises:
            DefinitionError: It does not; every mistake is listed.
        """
        if problems := definition_problems(self):
            raise DefinitionError(problems)

    def manifest(self) -> Manifest:
        """Returns what the connector registers.

        Raises:
            DefinitionError: The definition is wrong; every mistake is listed.
        """
        self.check()
        return build_manifest(self)
