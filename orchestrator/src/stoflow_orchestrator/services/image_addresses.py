"""Signed addresses of images, valid for a limited time."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from urllib.parse import urlencode

from stoflow_service_kit.clock import Clock

# Longer than any attempt at a task that reads one: a granted task signs them anew.
LIFETIME = timedelta(hours=1)
MIN_KEY_BYTES = 32
_MAX_EXPIRES_DIGITS = 12


class ImageSignatures:
    """Signs and checks the right to read one image of one tenant until a moment, by HMAC-SHA256."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        """Takes the key, the same for all orchestrators.

        Args:
            key: At least 32 random bytes.
            clock: Tells when an address has expired.
        """
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"the key must have at least {MIN_KEY_BYTES} bytes")
        self._key = key
        self._clock = clock

    def query(self, tenant_id: int, sha256: str, lifetime: timedelta = LIFETIME) -> dict[str, str]:
        """Returns the query parameters that let one image be read from now on."""
        expires = str(int((self._clock.now() + lifetime).timestamp()))
        return {
            "tenant": str(tenant_id),
            "expires": expires,
            "signature": self._sign(str(tenant_id), sha256, expires),
        }

    def is_valid(self, tenant: str, sha256: str, expires: str, signature: str) -> bool:
        """Tells whether an address was signed here and has not expired; the texts may be anything."""
        if not signature.isascii() or not hmac.compare_digest(self._sign(tenant, sha256, expires), signature):
            return False
        # Only now are the texts known to be ours.
        return len(expires) <= _MAX_EXPIRES_DIGITS and int(expires) > self._clock.now().timestamp()

    def _sign(self, tenant: str, sha256: str, expires: str) -> str:
        signed = f"image\n{tenant}\n{sha256}\n{expires}".encode(errors="surrogatepass")
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest()


class ImageAddresses:
    """Makes addresses under which connectors and marketplaces read images."""

    def __init__(self, signatures: ImageSignatures, base_url: str) -> None:
        """Takes where the images are served.

        Args:
            signatures: Those that the serving route checks.
            base_url: `http://host:port` or `https://host`, without a slash at its end.
        """
        self._signatures = signatures
        self._base_url = base_url

    def sign(self, tenant_id: int, sha256: str) -> str:
        """Returns an address of one image."""
        return f"{self._base_url}/images/{sha256}?{urlencode(self._signatures.query(tenant_id, sha256))}"
