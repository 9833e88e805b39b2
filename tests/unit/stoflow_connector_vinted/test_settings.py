"""Nothing of Vinted is switched on by itself, and no secret travels in clear."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from stoflow_connector_vinted.settings import VintedSettings

LEAST = {
    "orchestrator_address": "127.0.0.1:1",
    "nats_url": "nats://127.0.0.1:1",
    "vinted_site_url": "http://127.0.0.1:1",
    "vinted_allowed_origins": "chrome-extension://a, chrome-extension://b",
}


def test_site_has_no_default() -> None:
    """Without an operator's decision for a site the connector does not start."""
    with pytest.raises(ValidationError, match="vinted_site_url"):
        VintedSettings(**{name: value for name, value in LEAST.items() if name != "vinted_site_url"})  # type: ignore[arg-type]


def test_gateway_beyond_loopback_needs_tls() -> None:
    """Tokens are not taken over plain connections of other machines, unless a proxy ends TLS in front."""
    with pytest.raises(ValidationError, match="VINTED_TLS_CERTIFICATE"):
        VintedSettings(**LEAST, vinted_gateway_address="0.0.0.0:8090")  # type: ignore[arg-type]
    opened = VintedSettings(**LEAST, vinted_gateway_address="0.0.0.0:8090", vinted_behind_tls_proxy=True)  # type: ignore[arg-type]
    assert opened.origins == ["chrome-extension://a", "chrome-extension://b"]
