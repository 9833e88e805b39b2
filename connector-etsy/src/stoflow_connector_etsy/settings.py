"""What the connector reads from its environment."""

from pydantic import Field, SecretStr

from stoflow_connector_sdk import ConnectorSettings
from stoflow_service_kit.settings import HttpUrl


class EtsySettings(ConnectorSettings):
    """The connector's settings beside those of every connector; the addresses default to Etsy's live API."""

    etsy_api_url: HttpUrl = "https://openapi.etsy.com"
    etsy_auth_url: HttpUrl = "https://api.etsy.com"
    etsy_consent_url: HttpUrl = "https://www.etsy.com/oauth/connect"
    etsy_keystring: str = Field(min_length=1, description="keystring of the Etsy application")
    etsy_shared_secret: SecretStr = Field(
        min_length=1, repr=False, description="shared secret of the Etsy application"
    )
    etsy_webhook_secret: SecretStr | None = Field(
        default=None,
        repr=False,
        description="signing secret of the webhook endpoint, whsec_ and all; unset for no webhooks",
    )
    # Below the lease that the orchestrator grants, less a heartbeat: a request that does not fit the
    # remaining lease is not sent at all.
    etsy_request_timeout_seconds: float = Field(
        default=15.0, gt=0, le=300, description="how long one request to Etsy may take, in seconds"
    )
    etsy_settle_seconds: float = Field(
        default=60.0,
        ge=0,
        le=3600,
        description="how long after a request was sent its effect may still appear at Etsy, in seconds",
    )
