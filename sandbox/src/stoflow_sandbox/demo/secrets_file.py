"""Keys of one installation, generated once and kept in a private file."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path

from stoflow_sandbox.demo.errors import DemoError

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Secrets:
    """One root key; every other key, password and token is derived from it by name."""

    installation_id: uuid.UUID
    root_key: bytes

    def key(self, name: str) -> str:
        """Returns 32 bytes in base64."""
        return base64.b64encode(self._derive(name)).decode()

    def token(self, name: str) -> str:
        """Returns a secret that can stand in a URL."""
        return base64.urlsafe_b64encode(self._derive(name)).decode().rstrip("=")

    def request_id(self, name: str) -> str:
        """Returns the request id of a mutation, the same in every run, so that repeating it changes nothing."""
        return str(uuid.uuid5(self.installation_id, name))

    def new_request_id(self) -> str:
        """Returns the request id of a mutation that is meant to happen again."""
        return str(uuid.uuid4())

    def _derive(self, name: str) -> bytes:
        return hmac.digest(self.root_key, name.encode(), hashlib.sha256)


def load_or_create(path: Path) -> Secrets:
    """Reads the file, or makes it with mode 0600."""
    try:
        return _read(path)
    except FileNotFoundError:
        made = Secrets(uuid.uuid4(), secrets.token_bytes(KEY_BYTES))
    content = {
        "installation_id": str(made.installation_id),
        "root_key": base64.b64encode(made.root_key).decode(),
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file)
    partial.replace(path)
    return made


def _read(path: Path) -> Secrets:
    try:
        content = json.loads(path.read_text())
        found = Secrets(uuid.UUID(content["installation_id"]), base64.b64decode(content["root_key"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DemoError(
            f"{path} is not a file of keys ({error}); restore it, or remove {path.parent} to start empty"
        ) from error
    if len(found.root_key) != KEY_BYTES:
        raise DemoError(f"{path}: root_key is {len(found.root_key)} bytes long, not {KEY_BYTES}")
    return found
