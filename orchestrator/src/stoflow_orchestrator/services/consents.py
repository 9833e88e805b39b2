"""How a seller is asked for consent: state, PKCE, the page's address, and how they are kept."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from urllib.parse import urlencode
from uuid import UUID

from stoflow.connector.v1.manifest_pb2 import OAuthDescription

from stoflow_orchestrator.services.secret_box import SecretBox

# 256 bits: nobody guesses a state, and RFC 7636 asks for a verifier of 43 to 128 characters.
RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class Consent:
    """What is known of a consent and of nobody's business; its repr shows none of it.

    Attributes:
        state: What the marketplace gives back.
        consent_url: Where the seller consents.
        code_verifier: Of PKCE; empty when the marketplace asks for none.
        code: The authorization code; empty before the seller has consented.
    """

    state: str = field(repr=False)
    consent_url: str = field(repr=False)
    code_verifier: str = field(repr=False)
    code: str = field(default="", repr=False)

    def with_code(self, code: str) -> Consent:
        """Returns the consent as given."""
        return replace(self, code=code)


def ask_consent(oauth: OAuthDescription, redirect_uri: str) -> Consent:
    """Makes a state, a verifier and the address of the consent page (RFC 6749 section 4.1.1, RFC 7636)."""
    state = secrets.token_urlsafe(RANDOM_BYTES)
    verifier = secrets.token_urlsafe(RANDOM_BYTES) if oauth.pkce else ""
    parameters = {
        **oauth.extra_parameters,
        "response_type": "code",
        "client_id": oauth.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(oauth.scopes),
        "state": state,
    }
    if not oauth.scopes:
        del parameters["scope"]
    if verifier:
        parameters["code_challenge"] = code_challenge(verifier)
        parameters["code_challenge_method"] = "S256"
    return Consent(state, f"{oauth.authorize_url}?{urlencode(parameters)}", verifier)


def code_challenge(verifier: str) -> str:
    """Returns what the marketplace is shown of a verifier: its SHA-256 as base64url without padding."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def state_sha256(state: str) -> bytes:
    """Returns what a state is found by: whoever reads the table cannot use it."""
    return hashlib.sha256(state.encode()).digest()


def seal_consent(box: SecretBox, tenant_id: int, connection_id: UUID, consent: Consent) -> bytes:
    """Encrypts a consent for storage."""
    return box.seal(json.dumps(asdict(consent)).encode(), _binding(tenant_id, connection_id))


def open_consent(box: SecretBox, tenant_id: int, connection_id: UUID, sealed: bytes) -> Consent:
    """Decrypts a stored consent.

    Raises:
        SecretBoxError: It belongs elsewhere, was changed, or its key is gone.
    """
    return Consent(**json.loads(box.open(sealed, _binding(tenant_id, connection_id))))


def _binding(tenant_id: int, connection_id: UUID) -> str:
    return f"stoflow/consents/{tenant_id}/{connection_id}"
