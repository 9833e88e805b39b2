"""What the connector reads from its environment."""

from typing import Self

from pydantic import Field, SecretStr, model_validator

from stoflow_connector_sdk import ConnectorSettings
from stoflow_service_kit.settings import HttpUrl


class EbaySettings(ConnectorSettings):
    """The connector's settings beside those of every connector; the addresses default to eBay's live API."""

    ebay_api_url: HttpUrl = "https://api.ebay.com"
    ebay_media_url: HttpUrl = "https://apim.ebay.com"
    ebay_auth_url: HttpUrl = "https://api.ebay.com"
    ebay_identity_url: HttpUrl = "https://apiz.ebay.com"
    ebay_consent_url: HttpUrl = Field(
        default="https://auth.ebay.com", description="where sellers give their consent"
    )
    ebay_client_id: str = Field(min_length=1, description="client id of the eBay application")
    ebay_client_secret: SecretStr = Field(
        min_length=1, repr=False, description="client secret of the eBay application"
    )
    ebay_notification_url: HttpUrl | None = Field(
        default=None,
        description="public address of /webhooks/ebay/notifications, to the letter as registered at eBay; unset "
        "receives no notifications",
    )
    ebay_verification_token: SecretStr | None = Field(
        default=None,
        min_length=32,
        max_length=80,
        repr=False,
        description="verification token of that address, 32 to 80 characters, as registered at eBay",
    )
    # Below the lease that the orchestrator grants, less a heartbeat: a request that does not fit the
    # remaining lease is not sent at all.
    ebay_request_timeout_seconds: float = Field(
        default=15.0, gt=0, le=300, description="how long one request to eBay may take, in seconds"
    )
    ebay_settle_seconds: float = Field(
        default=60.0,
        ge=0,
        le=3600,
        description="how long after a request was sent its effect may still appear at eBay, in seconds",
    )

    @model_validator(mode="after")
    def _notifications_are_whole(self) -> Self:
        if (self.ebay_notification_url is None) != (self.ebay_verification_token is None):
            raise ValueError("EBAY_NOTIFICATION_URL and EBAY_VERIFICATION_TOKEN must be set together")
        return self
