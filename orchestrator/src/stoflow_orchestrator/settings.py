"""Environment of the orchestrator."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from stoflow_orchestrator.clients.address_guard import parse_networks
from stoflow_orchestrator.services.image_addresses import MIN_KEY_BYTES
from stoflow_orchestrator.services.secret_box import parse_keys
from stoflow_service_kit.settings import HttpUrl, LogFormat, LogLevel, NatsUrl, PostgresUrl, ServiceSettings


def decode_key(text: str) -> bytes:
    """Decodes a base64 key.

    Raises:
        ValueError: It is no base64, or too short.
    """
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("base64") from error
    if len(key) < MIN_KEY_BYTES:
        raise ValueError("length")
    return key


def _image_url_key(text: str) -> str:
    decode_key(text)
    return text


def _networks(text: str) -> str:
    parse_networks(text)
    return text


def _credentials_keys(text: str) -> str:
    parse_keys(text)
    return text


class MigrateSettings(BaseSettings):
    """What `migrate` reads."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    database_url: PostgresUrl
    log_level: LogLevel = Field(default="info", description="debug, info, warning or error")
    log_format: LogFormat = Field(default="json", description="json or console")


class OrchestratorSettings(ServiceSettings):
    """What the service reads."""

    database_url: PostgresUrl
    nats_url: NatsUrl
    image_store_path: Path = Field(
        description="folder for the sellers' images, shared by all orchestrators; with IMAGE_STORE_BUCKET a local"
        " one for uploads"
    )
    image_store_bucket: str | None = Field(
        default=None, description="name of a bucket that holds the images; unset for IMAGE_STORE_PATH"
    )
    image_store_prefix: str = Field(
        default="", description="put before each key in the bucket; unset for none"
    )
    image_store_endpoint: HttpUrl | None = Field(
        default=None, description="http://host:port or https://host of an S3-compatible store; unset for AWS"
    )
    image_store_region: str = Field(default="us-east-1", description="the bucket's region")
    image_store_access_key: str | None = Field(
        default=None, description="the store's access key; unset for botocore's own search for credentials"
    )
    image_store_secret_key: str | None = Field(
        default=None, repr=False, description="the secret that belongs to IMAGE_STORE_ACCESS_KEY"
    )
    image_base_url: HttpUrl | None = Field(
        default=None,
        description="http://host:port or https://host at which connectors read images; unset for HTTP_ADDRESS",
    )
    image_url_key: Annotated[str, AfterValidator(_image_url_key)] = Field(
        repr=False,
        description="at least 32 random bytes in base64, the same for all orchestrators; signs image addresses",
    )
    image_allowed_networks: Annotated[str, AfterValidator(_networks)] = Field(
        default="",
        description="networks separated by commas, such as 127.0.0.0/8, from which images may be fetched although"
        " they are not public; unset for none",
    )
    credentials_keys: Annotated[str, AfterValidator(_credentials_keys)] = Field(
        repr=False,
        description="id:key pairs separated by commas, each key 32 random bytes in base64; the first encrypts",
    )
    lease_seconds: float = Field(
        default=30.0, ge=0.5, le=3600, description="seconds a lease holds without a heartbeat, 0.5 to 3600"
    )
    dispatch_timeout_seconds: float = Field(
        default=10.0,
        ge=0.5,
        le=3600,
        description="seconds until an unstarted task is rung again, 0.5 to 3600",
    )
    retry_base_seconds: float = Field(
        default=1.0, ge=0, le=3600, description="greatest first delay before a retry in seconds, 0 to 3600"
    )
    retry_cap_seconds: float = Field(
        default=300.0, ge=0, le=86400, description="greatest delay before a retry in seconds, 0 to 86400"
    )
    stream_replicas: int = Field(
        default=1, ge=1, le=5, description="copies of each JetStream stream, 1 to 5; 3 on a cluster"
    )
    retention_jobs_days: float = Field(
        default=90.0, gt=0, le=36500, description="days that ended jobs and batches are kept, more than 0"
    )
    retention_events_days: float = Field(
        default=30.0, gt=0, le=36500, description="days that result events are kept, more than 0"
    )
    retention_requests_days: float = Field(
        default=7.0, gt=0, le=36500, description="days that request ids are remembered, more than 0"
    )
    retention_interval_seconds: float = Field(
        default=3600.0,
        ge=0.1,
        le=86400,
        description="seconds between two looks for what is too old, 0.1 to 86400",
    )
