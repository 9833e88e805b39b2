"""Messages are read in exactly the shape that the protocol gives them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stoflow_connector_vinted.gateway.messages import (
    BROWSER_MESSAGES,
    CLOSE_CODES,
    MalformedMessageError,
    read_message,
)

ID = "0192f0c1-7a3e-7e57-9d0a-000000000001"
HELLO: dict[str, Any] = {
    "type": "hello",
    "version": 1,
    "token": "t" * 43,
    "client_id": ID,
    "client_name": "Chromium",
    "session": {"state": "READY", "user": {"id": "1001", "login": "ann"}},
    "requests": [{"request_id": ID, "epoch": 7, "state": "ANSWERED"}],
}
RESULT: dict[str, Any] = {
    "type": "result",
    "request_id": ID,
    "epoch": 8,
    "outcome": "ANSWERED",
    "http_status": 200,
    "headers": {"content-type": "application/json"},
    "body": "{}",
    "finished_time": "2026-11-24T01:02:03.310Z",
}


def test_messages_of_the_protocol_are_read_as_they_are() -> None:
    """A hello and a result come out as they went in."""
    for message in (HELLO, RESULT, {"type": "ping"}):
        assert read_message(json.dumps(message)) == message


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"session": {"state": "ASLEEP"}}, "session.state"),
        ({"requests": [{"request_id": "x", "epoch": 7, "state": "ANSWERED"}]}, "requests[0].request_id"),
        ({"version": "1"}, "version"),
        ({"version": True}, "version"),
        ({"extra": 1}, "extra"),
        ({"token": None}, "token"),
    ],
)
def test_every_deviation_is_named(change: dict[str, Any], named: str) -> None:
    """An unknown field, a value of another type or outside its set is refused by its path."""
    with pytest.raises(MalformedMessageError) as caught:
        read_message(json.dumps({**HELLO, **change}))
    assert [text.partition(":")[0] for text in caught.value.violations] == [named]


@pytest.mark.parametrize("text", [b"{}", "", "[]", '{"type": 1}', '{"type": "dance"}', "[" * 100_000])
def test_what_is_no_message_is_malformed(text: str | bytes) -> None:
    """Binary frames, broken JSON and unknown types are refused."""
    with pytest.raises(MalformedMessageError):
        read_message(text)


def test_answered_result_must_hold_the_answer_and_any_other_its_error() -> None:
    """A result without what its outcome promises is refused."""
    for message in ({k: v for k, v in RESULT.items() if k != "body"}, {**RESULT, "outcome": "UNKNOWN"}):
        with pytest.raises(MalformedMessageError):
            read_message(json.dumps(message))


def test_protocol_describes_every_message_and_code() -> None:
    """PROTOCOL.md names each message that the gateway reads and each code that it closes with."""
    text = (Path(__file__).parents[4] / "connector-vinted" / "PROTOCOL.md").read_text()
    for name in BROWSER_MESSAGES:
        assert re.search(rf'\b{name}\b|"type": "{name}"', text), name
    for reason, code in CLOSE_CODES.items():
        assert reason in text
        assert str(code) in text
