"""Encrypts secrets at rest: AES-256-GCM under named keys, so that keys can be replaced one after another."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
# The size for which GCM is defined; random nonces are safe for 2**32 messages under one key.
NONCE_BYTES = 12
_FORMAT = b"\x01"
_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,32}")
KEYS_EXPECTATION = "id:key[,id:key] with keys of 32 bytes as base64; the first encrypts, all decrypt"


class SecretBoxError(Exception):
    """A sealed secret cannot be opened: its key is gone, it was changed, or it belongs elsewhere."""


def parse_keys(text: str) -> dict[str, bytes]:
    """Parses the setting CREDENTIALS_KEYS.

    Args:
        text: `id:base64key`, several separated by commas, the one that encrypts first.

    Raises:
        ValueError: It is malformed; the error says what is expected and holds no part of the text.
    """
    keys: dict[str, bytes] = {}
    for entry in text.split(","):
        key_id, _, encoded = entry.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError:
            key = b""
        if not _KEY_ID.fullmatch(key_id) or len(key) != KEY_BYTES or key_id in keys:
            raise ValueError(f"expected {KEYS_EXPECTATION}")
        keys[key_id] = key
    return keys


class SecretBox:
    """Seals and opens secrets."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Takes the keys.

        Args:
            keys: By id, the one that seals first; 32 bytes each.
        """
        if not keys:
            raise ValueError("at least one key is needed")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._sealing_id = next(iter(keys))

    def seal(self, secret: bytes, bound_to: str) -> bytes:
        """Encrypts a secret so that it opens only with the same `bound_to`."""
        key_id = self._sealing_id.encode()
        header = _FORMAT + bytes([len(key_id)]) + key_id
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self._sealing_id].encrypt(nonce, secret, header + bound_to.encode())
        return header + nonce + sealed

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """Decrypts a secret.

        Raises:
            SecretBoxError: Its key is not among ours, it was changed, or it was bound to something else.
        """
        id_end = 2 + (sealed[1] if len(sealed) > 1 else 0)
        header, nonce = sealed[:id_end], sealed[id_end : id_end + NONCE_BYTES]
        cipher = self._ciphers.get(header[2:].decode(errors="replace"))
        if header[:1] != _FORMAT or len(nonce) != NONCE_BYTES or cipher is None:
            raise SecretBoxError("sealed under a key that is not among CREDENTIALS_KEYS, or not sealed by us")
        try:
            return cipher.decrypt(nonce, sealed[id_end + NONCE_BYTES :], header + bound_to.encode())
        except InvalidTag as error:
            raise SecretBoxError("changed, or bound to something else") from error
