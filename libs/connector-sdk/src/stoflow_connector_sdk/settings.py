"""Environment of a connector."""

from pydantic import Field

from stoflow_service_kit.settings import CallAddress, NatsUrl, ServiceSettings, TokenFilePath


class ConnectorSettings(ServiceSettings):
    """What every connector reads; a connector adds its own fields."""

    orchestrator_address: CallAddress
    orchestrator_token_file: TokenFilePath = None
    nats_url: NatsUrl
    slots: int = Field(default=16, ge=1, le=10_000, description="tasks that run at once, from 1 to 10000")
    marketplace: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9-]{0,31}$",
        description="name to register as, such as ebay-sandbox: lower-case letters, digits and dashes",
    )
    drain_grace_seconds: float = Field(
        default=15.0, ge=0, le=3600, description="seconds that running tasks get at the end, from 0 to 3600"
    )
    stoflow_http_record: str | None = Field(
        default=None, description="path of a file to append each HTTP exchange to, for tests; unset for none"
    )
