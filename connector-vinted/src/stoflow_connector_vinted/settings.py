"""What the connector reads from its environment."""

from ipaddress import ip_address
from typing import Self

from pydantic import Field, model_validator

from stoflow_connector_sdk import ConnectorSettings
from stoflow_service_kit.settings import HttpUrl, ListenAddress, split_host_port


class VintedSettings(ConnectorSettings):
    """The connector's settings beside those of every connector; no address of Vinted has a default."""

    vinted_site_url: HttpUrl = Field(
        description="the site that the sellers' browsers use, as in https://www.vinted.fr; an operator decides"
    )
    vinted_gateway_address: ListenAddress = "127.0.0.1:0"
    vinted_allowed_origins: str = Field(
        min_length=1, description="origins of the browser extension, comma-separated: chrome-extension://<id>"
    )
    vinted_tls_certificate: str = Field(
        default="", description="path of the gateway's certificate chain; needed beyond loopback"
    )
    vinted_tls_private_key: str = Field(default="", description="path of the certificate's private key")
    vinted_behind_tls_proxy: bool = Field(
        default=False, description="true when a proxy on this network ends TLS in front of the gateway"
    )
    vinted_pace_seconds: float = Field(
        default=2.0, ge=0, le=3600, description="least time between two calls of one seller, in seconds"
    )
    # With the margin for the way there and back it must fit the lease that the orchestrator grants.
    vinted_call_timeout_seconds: float = Field(
        default=20.0, ge=1, le=60, description="how long one call may take in the browser, in seconds"
    )
    # A command may wait in the browser behind one that an earlier attempt left there: at most twice the longest.
    vinted_settle_seconds: float = Field(
        default=90.0,
        ge=0,
        le=3600,
        description="how long after a command was sent its effect may still appear at Vinted, in seconds",
    )

    @property
    def origins(self) -> list[str]:
        """The admitted origins."""
        return [part.strip() for part in self.vinted_allowed_origins.split(",") if part.strip()]

    @model_validator(mode="after")
    def _no_secrets_in_clear(self) -> Self:
        if bool(self.vinted_tls_certificate) != bool(self.vinted_tls_private_key):
            raise ValueError("VINTED_TLS_CERTIFICATE and VINTED_TLS_PRIVATE_KEY: set both or neither")
        host, _ = split_host_port(self.vinted_gateway_address)
        if not (self.vinted_tls_certificate or self.vinted_behind_tls_proxy or _is_loopback(host)):
            raise ValueError(
                "VINTED_GATEWAY_ADDRESS: beyond loopback it needs VINTED_TLS_CERTIFICATE, or VINTED_BEHIND_TLS_PROXY"
            )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
