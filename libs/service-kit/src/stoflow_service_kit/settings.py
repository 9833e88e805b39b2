"""Settings from environment variables: read once, frozen, and every mistake reported at once by name."""

import sys
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

CONFIGURATION_EXIT_CODE = 2


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ValueError("port")
    return int(text)


def split_host_port(address: str) -> tuple[str, int]:
    """Splits `host:port` or `[::1]:port`.

    Raises:
        ValueError: The text is not an address of this form.
    """
    host, separator, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not separator or not host or (":" in host and not bracketed):
        raise ValueError("address")
    return host.strip("[]"), _port(port)


def join_host_port(host: str, port: int) -> str:
    """Joins a host and a port so that gRPC, NATS and HTTP clients all read it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listen_address(value: str) -> str:
    split_host_port(value)
    return value


def _call_address(value: str) -> str:
    if split_host_port(value)[1] == 0:
        raise ValueError("port")
    return value


def _postgres_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"postgresql", "postgres"} or not parts.hostname or not parts.path.strip("/"):
        raise ValueError("url")
    _ = parts.port
    return value


def _nats_urls(value: str) -> str:
    for url in value.split(","):
        parts = urlsplit(url.strip())
        if parts.scheme not in {"nats", "tls"} or not parts.hostname:
            raise ValueError("url")
        _ = parts.port
    return value


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("url")
    _ = parts.port
    return value.rstrip("/")


ListenAddress = Annotated[
    str, AfterValidator(_listen_address), Field(description="host:port to listen on, port 0 for a free one")
]
CallAddress = Annotated[str, AfterValidator(_call_address), Field(description="host:port to call")]
PostgresUrl = Annotated[
    str,
    AfterValidator(_postgres_url),
    # Not in repr: it holds a password, and settings are printed when something is debugged.
    Field(description="postgresql://user:password@host:port/database", repr=False),
]
NatsUrl = Annotated[
    str,
    AfterValidator(_nats_urls),
    Field(description="nats://host:port, several separated by commas", repr=False),
]
HttpUrl = Annotated[str, AfterValidator(_http_url), Field(description="http://host:port or https://host")]
TokenFilePath = Annotated[
    str | None,
    Field(description="path of a file that holds the bearer token for calls; unset for calls without one"),
]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "console"]


class ServiceSettings(BaseSettings):
    """What every service reads; each service adds its own fields, one environment variable a field."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    grpc_address: ListenAddress = "127.0.0.1:0"
    http_address: ListenAddress = "127.0.0.1:0"
    log_level: LogLevel = Field(default="info", description="debug, info, warning or error")
    log_format: LogFormat = Field(default="json", description="json or console")
    ready_file: str | None = Field(
        default=None, description="path of a file to write once the service is serving; unset for none"
    )


S = TypeVar("S", bound=BaseSettings)


def load_settings(cls: type[S]) -> S:
    """Reads the settings, or names every wrong variable on stderr and exits with code 2."""
    try:
        return cls()
    except ValidationError as error:
        problems = [_describe(cls, details) for details in error.errors(include_url=False)]
    except SettingsError as error:
        # pydantic-settings stops at the first value that is not the JSON a structured field needs, and its
        # text holds the field's name but not the value.
        problems = [str(error)]
    lines = [f"{len(problems)} setting(s) are missing or malformed:", *(f"  {line}" for line in problems)]
    sys.stderr.write("\n".join(lines) + "\n")
    raise SystemExit(CONFIGURATION_EXIT_CODE)


def variable_name(cls: type[BaseSettings], field_name: str) -> str:
    """Returns the environment variable that a field is read from."""
    field = cls.model_fields.get(field_name)
    if field is not None and isinstance(field.validation_alias, str):
        return field.validation_alias.upper()
    return f"{cls.model_config.get('env_prefix', '')}{field_name}".upper()


def _describe(cls: type[BaseSettings], details: ErrorDetails) -> str:
    location = [str(part) for part in details["loc"]]
    if not location:
        return details["msg"].removeprefix("Value error, ")
    name, field = _find_field(cls, location[0])
    expected = (field.description if field else None) or details["msg"]
    variable = variable_name(cls, name)
    if details["type"] == "missing":
        return f"{variable} is not set; it expects {expected}"
    shown = _shown_value(field, details["input"])
    return f"{variable} is malformed{shown}; it expects {expected}"


def _find_field(cls: type[BaseSettings], location: str) -> tuple[str, FieldInfo | None]:
    for name, field in cls.model_fields.items():
        if location.lower() in {name.lower(), str(field.validation_alias).lower()}:
            return name, field
    return location, None


def _shown_value(field: FieldInfo | None, value: Any) -> str:
    # Shown only where it cannot be a secret: never of hidden fields, never anything like user:pw@host.
    if field is None or not field.repr or not isinstance(value, str) or "@" in value:
        return ""
    if "Secret" in str(field.annotation):
        return ""
    return f" ({value[:80]!r})"
