import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from stoflow_service_kit.logs import REDACTED, configure_logs, get_logger, redact, redact_text


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_structlog_and_standard_logs_end_in_one_json_stream() -> None:
    """Lines of both kinds have the same keys, the service's name, and what is bound to the context."""
    stream = io.StringIO()
    configure_logs("info", "json", service="orchestrator", stream=stream)
    structlog.contextvars.bind_contextvars(tenant_id=7, request_id="r1")
    get_logger("ours").info("job_created", job_id="j1")
    logging.getLogger("theirs").warning("slow %s", "query")
    ours, theirs = lines_of(stream)
    assert ours["event"] == "job_created"
    assert ours["job_id"] == "j1"
    assert theirs["event"] == "slow query"
    assert theirs["level"] == "warning"
    for line in (ours, theirs):
        assert line["tenant_id"] == 7
        assert line["request_id"] == "r1"
        assert line["service"] == "orchestrator"
        assert line["timestamp"].endswith("Z")


def test_a_logger_made_before_the_configuration_follows_it() -> None:
    """Module-level loggers exist before logs are configured and still end in the stream."""
    logger = get_logger("early")
    stream = io.StringIO()
    configure_logs("warning", "json", stream=stream)
    logger.info("hidden")
    logger.error("shown")
    assert [line["event"] for line in lines_of(stream)] == ["shown"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_secrets_never_reach_the_stream(log_format: Any) -> None:
    """Passwords and tokens are removed from keys, nested values, URLs, messages and exceptions."""
    stream = io.StringIO()
    configure_logs("debug", log_format, stream=stream)
    local_secret = "hunter2"
    try:
        raise RuntimeError(f"cannot reach postgresql://stoflow:{local_secret}@db:5432/x")
    except RuntimeError:
        get_logger("t").exception(
            "failed",
            authorization="Bearer hunter2hunter2",
            headers={"Authorization": "hunter2", "X-Api-Key": "hunter2", "accept": "*/*"},
            urls=["nats://u:hunter2@n:4222"],
            refresh_token="hunter2",
            error=ValueError("password=hunter2"),
        )
    logging.getLogger("theirs").error("sent %s", "Authorization: Bearer hunter2hunter2")
    text = stream.getvalue()
    assert "hunter2" not in text
    assert "cannot reach postgresql://stoflow:" in text
    assert "*/*" in text
    assert REDACTED in text


def test_what_is_no_secret_stays() -> None:
    """Ids, page tokens, counts of tokens and plain URLs are left as they are."""
    event = {
        "next_page_token": "abc",
        "task_id": "t",
        "tokens_used": 3,
        "url": "https://api.ebay.com/sell?x=1",
        "token": None,
    }
    assert redact(event) == event


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://u:p@h/db", f"postgresql://u:{REDACTED}@h/db"),
        ("nats://u:p@a:1,nats://u:q@b:2", f"nats://u:{REDACTED}@a:1,nats://u:{REDACTED}@b:2"),
        ("Bearer abc.def-ghi", f"Bearer {REDACTED}"),
        ('{"access_token":"abc","a":1}', f'{{"access_token":"{REDACTED}","a":1}}'),
        ("client_secret=abc&scope=x", f"client_secret={REDACTED}&scope=x"),
        ("nothing to hide: http://h:1/p", "nothing to hide: http://h:1/p"),
    ],
)
def test_redacts_by_shape(text: str, expected: str) -> None:
    """Secrets inside plain text are found by their shape; the rest of the text stays."""
    assert redact_text(text) == expected


def test_long_text_with_a_url_is_searched_in_linear_time() -> None:
    """Ten times the letters take about ten times the time, so one odd log line stalls nobody."""
    text = "a" * 200_000 + " postgresql://user:secret@host/db"
    assert "secret" not in redact_text(text)
