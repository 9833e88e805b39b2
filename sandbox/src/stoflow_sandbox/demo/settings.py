"""What the demo reads from its environment: servers to use in place of its own."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict

from stoflow_service_kit.settings import NatsUrl, PostgresUrl


class DemoSettings(BaseSettings):
    """Addresses of servers that run already; an empty one means that a server is started."""

    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, extra="ignore", validate_default=False
    )

    database_url: PostgresUrl = ""
    nats_url: NatsUrl = ""
