"""Signed addresses."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoflow_orchestrator.services.image_addresses import LIFETIME, ImageAddresses, ImageSignatures
from stoflow_service_kit.clock import ManualClock

KEY, SHA256 = bytes(range(32)), "ab" * 32


def test_address_names_image_tenant_and_end() -> None:
    """The address is under the base URL and carries all that its check needs."""
    clock = ManualClock()
    signatures = ImageSignatures(KEY, clock)
    url = urlsplit(ImageAddresses(signatures, "https://images.test/base").sign(42, SHA256))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"https://images.test/base/images/{SHA256}"
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert query["tenant"] == "42"
    assert int(query["expires"]) == int((clock.now() + LIFETIME).timestamp())
    assert signatures.is_valid(query["tenant"], SHA256, query["expires"], query["signature"])


async def test_signature_ends_with_its_lifetime() -> None:
    """A signature is valid until its moment and not at it."""
    clock = ManualClock()
    signatures = ImageSignatures(KEY, clock)
    query = signatures.query(1, SHA256, timedelta(seconds=10))
    await clock.advance(9)
    assert signatures.is_valid(query["tenant"], SHA256, query["expires"], query["signature"])
    await clock.advance(1)
    assert not signatures.is_valid(query["tenant"], SHA256, query["expires"], query["signature"])


def test_another_key_signs_differently() -> None:
    """A signature made with another key is not valid."""
    clock = ManualClock()
    query = ImageSignatures(KEY[::-1], clock).query(1, SHA256)
    assert not ImageSignatures(KEY, clock).is_valid("1", SHA256, query["expires"], query["signature"])


@given(st.text(), st.text(), st.text(), st.text())
def test_no_text_is_taken_for_a_signature(tenant: str, sha256: str, expires: str, signature: str) -> None:
    """Whatever texts an address carries, an unsigned one is refused without an error."""
    assert not ImageSignatures(KEY, ManualClock()).is_valid(tenant, sha256, expires, signature)


def test_parts_cannot_be_shifted() -> None:
    """Moving characters from one signed part to the next makes the signature worthless."""
    signatures = ImageSignatures(KEY, ManualClock())
    query = signatures.query(12, SHA256)
    shifted = ("1", f"2\n{SHA256}", query["expires"], query["signature"])
    assert not signatures.is_valid(*shifted)


def test_short_key_is_refused() -> None:
    """A key of less than 32 bytes is refused at start."""
    with pytest.raises(ValueError, match="32 bytes"):
        ImageSignatures(b"short", ManualClock())
