import json

import structlog

from stoflow_service_kit.grpc_channel import request_metadata, retry_service_config


def test_retries_are_configured_for_the_named_methods_only() -> None:
    """The service config names exactly the methods the caller vouches for, or a whole service."""
    config = json.loads(retry_service_config({"a.v1.A": ["Get", "List"], "b.v1.B": []}, max_attempts=3))
    (entry,) = config["methodConfig"]
    assert entry["name"] == [
        {"service": "a.v1.A", "method": "Get"},
        {"service": "a.v1.A", "method": "List"},
        {"service": "b.v1.B"},
    ]
    assert entry["retryPolicy"]["maxAttempts"] == 3
    assert entry["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]


def test_the_bound_request_id_travels_on() -> None:
    """An outgoing call carries the given id, else the context's, else none."""
    assert request_metadata() == ()
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        assert request_metadata() == (("x-request-id", "r1"),)
        assert request_metadata("r2") == (("x-request-id", "r2"),)
