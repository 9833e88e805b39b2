"""The eBay connector passes the standard test of every connector."""

from __future__ import annotations

from stoflow_connector_ebay.bootstrap import make_definition
from stoflow_connector_ebay.settings import EbaySettings
from stoflow_connector_sdk import ConnectorDefinition
from stoflow_connector_sdk.conformance import ConnectorConformance


class TestEbayConformance(ConnectorConformance):
    """The connector with the settings of production, but for its credentials."""

    def make_definition(self) -> ConnectorDefinition:
        return make_definition(
            EbaySettings(
                orchestrator_address="127.0.0.1:1",
                nats_url="nats://127.0.0.1:1",
                ebay_client_id="StoFlow",
                ebay_client_secret="secret-of-the-tests",
            )
        )
