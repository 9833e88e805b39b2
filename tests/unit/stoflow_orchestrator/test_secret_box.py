"""Secrets at rest."""

from __future__ import annotations

import base64
import os
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoflow_orchestrator.services.account_secrets import Tokens, open_tokens, seal_tokens
from stoflow_orchestrator.services.secret_box import SecretBox, SecretBoxError, parse_keys

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


@given(st.binary(max_size=2000), st.text(max_size=50))
def test_sealed_secret_opens(secret: bytes, bound_to: str) -> None:
    """What was sealed opens to the same bytes, and no two sealings are alike."""
    box = SecretBox({"k": OLD})
    sealed = box.seal(secret, bound_to)
    assert box.open(sealed, bound_to) == secret
    assert sealed != box.seal(secret, bound_to)


def test_secret_opens_only_where_it_belongs() -> None:
    """Tokens sealed for one tenant and account do not open for another of either."""
    box = SecretBox({"k": OLD})
    account_id, tokens = uuid4(), Tokens("access", "refresh")
    sealed = seal_tokens(box, 1, account_id, tokens)
    assert open_tokens(box, 1, account_id, sealed) == tokens
    for tenant_id, other_id in ((2, account_id), (1, uuid4()), (11, account_id)):
        with pytest.raises(SecretBoxError):
            open_tokens(box, tenant_id, other_id, sealed)


def test_any_changed_byte_is_noticed() -> None:
    """No byte of a sealed secret, its header included, can be changed or cut without notice."""
    box = SecretBox({"k": OLD, "l": NEW})
    sealed = box.seal(b"secret", "x")
    for index in range(len(sealed)):
        changed = sealed[:index] + bytes([sealed[index] ^ 1]) + sealed[index + 1 :]
        with pytest.raises(SecretBoxError):
            box.open(changed, "x")
        with pytest.raises(SecretBoxError):
            box.open(sealed[:index], "x")


def test_first_key_seals_and_all_open() -> None:
    """After a new key was put first, old secrets still open and new ones need the new key."""
    sealed_old = SecretBox({"old": OLD}).seal(b"secret", "x")
    both = SecretBox({"new": NEW, "old": OLD})
    assert both.open(sealed_old, "x") == b"secret"
    assert SecretBox({"new": NEW}).open(both.seal(b"secret", "x"), "x") == b"secret"
    with pytest.raises(SecretBoxError, match="CREDENTIALS_KEYS"):
        SecretBox({"new": NEW}).open(sealed_old, "x")


def test_setting_is_parsed_in_order() -> None:
    """Keys keep the order of the setting, spaces around entries allowed."""
    first, second = base64.b64encode(NEW).decode(), base64.b64encode(OLD).decode()
    assert list(parse_keys(f"2026:{first}, 2025:{second}").items()) == [("2026", NEW), ("2025", OLD)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "k",
        "k:",
        ":" + base64.b64encode(OLD).decode(),
        "k:" + base64.b64encode(OLD[:16]).decode(),
        "k:!!not base64!!",
        "k:ünï",
        "k k:" + base64.b64encode(OLD).decode(),
        "k:" + base64.b64encode(OLD).decode() + ",",
        "k:" + base64.b64encode(OLD).decode() + ",k:" + base64.b64encode(NEW).decode(),
    ],
)
def test_malformed_setting_is_refused_without_showing_it(text: str) -> None:
    """A malformed setting is refused with what is expected and none of the keys."""
    with pytest.raises(ValueError, match="32 bytes as base64") as caught:
        parse_keys(text)
    assert base64.b64encode(OLD).decode() not in str(caught.value)
    assert caught.value.__context__ is None


def test_box_needs_a_key() -> None:
    """A box without keys, or with one of another length, is not made."""
    with pytest.raises(ValueError, match="key"):
        SecretBox({})
    with pytest.raises(ValueError, match="key"):
        SecretBox({"k": os.urandom(31)})


def test_tokens_do_not_show_in_their_repr() -> None:
    """Neither token is in the repr."""
    assert repr(Tokens("hidden", "hidden")) == "Tokens()"
