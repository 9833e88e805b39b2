"""What the environment says."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from stoflow_service_kit.settings import LogFormat, LogLevel, NatsUrl, PostgresUrl, ServiceSettings


class StatsSettings(ServiceSettings):
    """Settings of the service."""

    database_url: PostgresUrl
    nats_url: NatsUrl
    event_ack_wait_seconds: float = Field(
        default=30,
        ge=1,
        le=3600,
        description="seconds from 1 to 3600 until what was not acknowledged is delivered again",
    )


class MigrateSettings(BaseSettings):
    """Settings of the command `migrate`, which needs no other server."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    database_url: PostgresUrl
    log_level: LogLevel = Field(default="info", description="debug, info, warning or error")
    log_format: LogFormat = Field(default="json", description="json or console")
