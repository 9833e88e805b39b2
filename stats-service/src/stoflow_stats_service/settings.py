"""What the environment says."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from stoflow_service_kit.settings import (
    CallAddress,
    LogFormat,
    LogLevel,
    NatsUrl,
    PostgresUrl,
    ServiceSettings,
    TokenFilePath,
)

_MOST_DAYS = 36_500


class StatsSettings(ServiceSettings):
    """Settings of the service."""

    database_url: PostgresUrl
    nats_url: NatsUrl
    orchestrator_address: CallAddress | None = Field(
        default=None, description="host:port of the orchestrator; unset: no rebuild and no reconciling"
    )
    orchestrator_token_file: TokenFilePath = None
    event_ack_wait_seconds: float = Field(
        default=30,
        ge=1,
        le=3600,
        description="seconds from 1 to 3600 until what was not acknowledged is delivered again",
    )
    event_history_days: float = Field(
        default=30,
        ge=1,
        le=_MOST_DAYS,
        description="days from 1 that the orchestrator keeps its events, its RETENTION_EVENTS_DAYS",
    )
    rebuild_settle_seconds: float = Field(
        default=60,
        ge=0,
        le=3600,
        description="seconds from 0 to 3600 that a rebuild waits for counted events that the history lacks",
    )
    # Longer than the stream (seven days) and the history repeat events.
    retention_event_ids_days: float = Field(
        default=40, ge=8, le=_MOST_DAYS, description="days from 8 that ids of counted events are kept"
    )
    retention_hours_days: float = Field(
        default=90, ge=1, le=_MOST_DAYS, description="days from 1 that figures are kept by hour"
    )
    retention_days_days: float = Field(
        default=1_100, ge=1, le=_MOST_DAYS, description="days from 1 that figures are kept by day"
    )
    retention_check_seconds: float = Field(
        default=600, ge=1, le=86_400, description="seconds from 1 to 86400 between looks at what is old"
    )
    recent_figures_seconds: float = Field(
        default=15, ge=1, le=3600, description="seconds from 1 to 3600 between updates of the gauges"
    )


class MigrateSettings(BaseSettings):
    """Settings of the command `migrate`, which needs no other server."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    database_url: PostgresUrl
    log_level: LogLevel = Field(default="info", description="debug, info, warning or error")
    log_format: LogFormat = Field(default="json", description="json or console")
