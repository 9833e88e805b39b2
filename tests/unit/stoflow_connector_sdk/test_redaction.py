import time

import pytest

from stoflow_connector_sdk.redaction import (
    MAX_RAW_BODY_BYTES,
    KnownSecrets,
    clean_body,
    known_secrets,
    remove_secrets,
)


@pytest.mark.parametrize(
    "text",
    [
        '{"access_token": "s3cr3t-value", "x": 1}',
        '{"accessToken":"s3cr3t-value"}',
        '{"client_secret" : "s3cr3t-value"}',
        '{"a": {"refreshToken": "s3cr3t-value\\"quoted"}}',
        "Authorization: Bearer s3cr3t-value",
        "grant_type=refresh_token&refresh_token=s3cr3t-value&scope=x",
        "https://user:s3cr3t-value@host/path",
    ],
)
def test_secrets_are_removed_by_their_shape(text: str) -> None:
    """A secret goes whether it stands in JSON, a header, a form or an address."""
    assert "s3cr3t" not in remove_secrets(text)


@pytest.mark.parametrize("text", ['{"pageToken": "abc"}', '{"next_page_token":"abc"}', "a plain sentence"])
def test_ordinary_text_stays(text: str) -> None:
    """Paging positions and sentences are left alone."""
    assert remove_secrets(text) == text


@pytest.mark.parametrize(
    "text",
    ["a" * 16_000 + " http://x", "abcd" * 4_000 + '"://', '"token' * 2_700, '"' * 16_000, "bearer " * 2_300],
)
def test_no_text_takes_long(text: str) -> None:
    """The search is linear: no answer of a marketplace, however odd, holds up the process."""
    started = time.process_time()
    remove_secrets(text)
    assert time.process_time() - started < 0.5


def test_addresses_without_passwords_stay() -> None:
    """An address is no secret."""
    assert remove_secrets("see https://api.example:8080/a?b=c") == "see https://api.example:8080/a?b=c"


def test_handed_out_tokens_are_removed_wherever_they_stand() -> None:
    """A token that this process knows is removed even where nothing tells that it is one."""
    known_secrets.add("opaque.value-17")
    assert remove_secrets("the answer was opaque.value-17!") == "the answer was [redacted]!"


def test_oldest_secrets_are_forgotten() -> None:
    """The memory for secrets is bounded, and a secret seen again counts as new."""
    secrets = KnownSecrets(limit=2)
    secrets.add("first-secret", "second-secret", "first-secret", "third-secret")
    assert (
        secrets.remove_from("first-secret second-secret third-secret")
        == "[redacted] second-secret [redacted]"
    )


def test_short_values_are_no_secrets() -> None:
    """A value that would be found inside ordinary words is not remembered."""
    secrets = KnownSecrets()
    secrets.add("abc")
    assert secrets.remove_from("abcdef") == "abcdef"


@pytest.mark.parametrize("body", ["ä" * 20_000, ("ä" * 20_000).encode(), "😀" * 10_000])
def test_bodies_are_cut_between_characters(body: str | bytes) -> None:
    """A body takes at most 16 KiB in UTF-8 and ends with a whole character."""
    cut = clean_body(body)
    assert MAX_RAW_BODY_BYTES - 4 < len(cut.encode()) <= MAX_RAW_BODY_BYTES
    assert "\ufffd" not in cut


def test_bodies_that_are_no_text_become_text() -> None:
    """Bytes that are no UTF-8, zero characters and lone surrogates do not reach a protobuf string."""
    assert clean_body(b"\xff\x00a") == "\ufffda"
    assert clean_body("a\ud800b") == "a?b"
