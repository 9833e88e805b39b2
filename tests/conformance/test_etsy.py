"""The Etsy connector passes the standard test of every connector."""

from __future__ import annotations

from stoflow_connector_etsy.bootstrap import make_definition
from stoflow_connector_etsy.settings import EtsySettings
from stoflow_connector_sdk import ConnectorDefinition
from stoflow_connector_sdk.conformance import ConnectorConformance


class TestEtsyConformance(ConnectorConformance):
    """The connector with the settings of production, but for its credentials."""

    def make_definition(self) -> ConnectorDefinition:
        return make_definition(
            EtsySettings(
                orchestrator_address="127.0.0.1:1",
                nats_url="nats://127.0.0.1:1",
                etsy_keystring="StoFlow",
                etsy_shared_secret="secret-of-the-tests",
            )
        )
