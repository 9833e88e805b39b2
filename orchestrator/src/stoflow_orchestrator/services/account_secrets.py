"""The tokens of an account as they are stored: sealed, and bound to tenant and account."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from uuid import UUID

from stoflow_orchestrator.services.secret_box import SecretBox


@dataclass(frozen=True, slots=True)
class Tokens:
    """What OAuth gave; its repr shows none of it.

    Attributes:
        access_token: Empty when it must be refreshed first.
        refresh_token: Never empty.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


def seal_tokens(box: SecretBox, tenant_id: int, account_id: UUID, tokens: Tokens) -> bytes:
    """Encrypts tokens for storage."""
    secret = {"access_token": tokens.access_token, "refresh_token": tokens.refresh_token}
    return box.seal(json.dumps(secret).encode(), _binding(tenant_id, account_id))


def open_tokens(box: SecretBox, tenant_id: int, account_id: UUID, sealed: bytes) -> Tokens:
    """Decrypts stored tokens.

    Raises:
        SecretBoxError: They belong to another tenant or account, were changed, or their key is gone.
    """
    secret = json.loads(box.open(sealed, _binding(tenant_id, account_id)))
    return Tokens(secret["access_token"], secret["refresh_token"])


def _binding(tenant_id: int, account_id: UUID) -> str:
    return f"stoflow/credentials/{tenant_id}/{account_id}"
