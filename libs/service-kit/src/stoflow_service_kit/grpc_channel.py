"""Client channels, and what a call carries along."""

import json
from collections.abc import Iterable, Mapping

import grpc
import grpc.aio
import structlog

from stoflow_service_kit.caller_token import TokenChannel, TokenSource
from stoflow_service_kit.grpc_server import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES
from stoflow_service_kit.grpc_status import REQUEST_ID_KEY, RichError, rich_error

__all__ = ["RichError", "open_channel", "request_metadata", "retry_service_config", "rich_error"]

_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # gRPC waits up to two minutes between connection attempts; a restarted server should be found in seconds.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 3_000),
    # Services talk directly; an http_proxy variable is meant for marketplaces.
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
)


def open_channel(
    address: str,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    token: TokenSource | None = None,
    service_config: str | None = None,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> grpc.aio.Channel:
    """Makes a channel; it connects with the first call and again after every loss.

    Args:
        address: `host:port`, or a gRPC target such as `dns:///orchestrator:50051`.
        credentials: TLS; none means plain text.
        token: Says in every call who calls; none sends no token.
        service_config: JSON, such as from `retry_service_config`; none means no call is repeated.
        max_message_bytes: Bound of one message, in both directions.
    """
    options: list[tuple[str, int | str]] = [
        *_OPTIONS,
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        # Two channels of one process to the same address would otherwise share one connection and its limits.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if service_config is not None:
        options.append(("grpc.service_config", service_config))
    channel = (
        grpc.aio.insecure_channel(address, options=options)
        if credentials is None
        else grpc.aio.secure_channel(address, credentials, options=options)
    )
    return channel if token is None else TokenChannel(channel, token)


def retry_service_config(
    methods: Mapping[str, Iterable[str]],
    *,
    max_attempts: int = 4,
    initial_backoff_seconds: float = 0.1,
    maximum_backoff_seconds: float = 2.0,
) -> str:
    """Builds a service config that repeats calls that failed with UNAVAILABLE.

    Args:
        methods: By full service name, the methods that may be repeated: the caller vouches that they are
            idempotent. An empty list stands for the whole service.
        max_attempts: Tries in all; gRPC allows five at most.
        initial_backoff_seconds: Before the second try.
        maximum_backoff_seconds: No delay is longer.
    """
    names = [
        name
        for service, listed in methods.items()
        for name in ([{"service": service, "method": method} for method in listed] or [{"service": service}])
    ]
    policy = {
        "maxAttempts": max_attempts,
        "initialBackoff": f"{initial_backoff_seconds}s",
        "maxBackoff": f"{maximum_backoff_seconds}s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": policy}]})


def request_metadata(request_id: str | None = None) -> tuple[tuple[str, str], ...]:
    """Returns metadata for an outgoing call, so that one id is in the logs of every service on the way.

    Args:
        request_id: The id; by default the one bound to the current context, if any.
    """
    known = request_id or structlog.contextvars.get_contextvars().get("request_id")
    return ((REQUEST_ID_KEY, str(known)),) if known else ()
