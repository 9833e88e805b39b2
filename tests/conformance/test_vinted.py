"""The Vinted connector passes the standard test of every connector."""

from __future__ import annotations

from stoflow_connector_sdk import ConnectorDefinition
from stoflow_connector_sdk.conformance import ConnectorConformance
from stoflow_connector_vinted.bootstrap import make_definition
from stoflow_connector_vinted.settings import VintedSettings


class TestVintedConformance(ConnectorConformance):
    """The connector with the settings of production, but for its site."""

    def make_definition(self) -> ConnectorDefinition:
        return make_definition(
            VintedSettings(
                orchestrator_address="127.0.0.1:1",
                nats_url="nats://127.0.0.1:1",
                vinted_site_url="http://127.0.0.1:1",
                vinted_allowed_origins="chrome-extension://abcdefghijklmnop",
            )
        )
