"""The standard test of every connector.

class TestEbayConformance(ConnectorConformance):
    def make_definition(self) -> ConnectorDefinition:
        return make_definition(settings)
"""

import pytest

# Before the import below: otherwise a failed assertion shows no values.
pytest.register_assert_rewrite("stoflow_connector_sdk.conformance.suite")

from stoflow_connector_sdk.conformance.suite import ConnectorConformance  # noqa: E402

__all__ = ["ConnectorConformance"]
