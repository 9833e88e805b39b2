"""eBay's Notification API v1: the keys that notifications are signed with."""

import base64
import binascii
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from stoflow_connector_ebay.clients.application import ApplicationTokens
from stoflow_connector_ebay.clients.caller import EbayCaller
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.errors import EbayRefusedError
from stoflow_connector_ebay.sites import SITES
from stoflow_connector_sdk import MarketplaceHttpClient, Rate, RateLimiter, RetryableError
from stoflow_service_kit.clock import Clock, SystemClock

# "The retrieved public key value should be cached for a temporary - but reasonable - amount of time (e.g., one-hour
# is recommended)": getPublicKey.
KEY_SECONDS = 3600.0
# Whoever sends forged notifications chooses the key's name: a stranger must not use up eBay's quota.
UNKNOWN_KEYS = Rate(20, 60.0)
_MAX_KEYS = 100
_PATH = "/commerce/notification/v1"
_KEY_NOT_FOUND = frozenset({195001})
# SHA-1 is what eBay signs with; no other algorithm is accepted than the key itself names.
_DIGESTS: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "SHA1": hashes.SHA1(),  # noqa: S303
    "SHA256": hashes.SHA256(),
}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of eBay's."""

    key: ec.EllipticCurvePublicKey
    digest: hashes.HashAlgorithm

    def verifies(self, signature: bytes, body: bytes) -> bool:
        """Whether eBay signed the body."""
        try:
            self.key.verify(signature, body, ec.ECDSA(self.digest))
        except InvalidSignature:
            # That is the answer, and no error.
            return False
        return True


class SigningKeyClient:
    """Gets signing keys, each once an hour."""

    def __init__(
        self,
        http: MarketplaceHttpClient,
        api_url: str,
        application: ApplicationTokens,
        clock: Clock | None = None,
    ) -> None:
        self._caller = EbayCaller(http, f"{api_url}{_PATH}")
        self._application = application
        self._clock = clock or SystemClock()
        self._limiter = RateLimiter(app_rates={"": [UNKNOWN_KEYS]}, longest_wait_seconds=0, clock=clock)
        self._known: OrderedDict[str, tuple[float, SigningKey | None]] = OrderedDict()

    async def find_key(self, key_id: str) -> SigningKey | None:
        """Returns a key; None when eBay knows none of this name.

        Raises:
            RateLimitedError: Too many names that are not known here.
            ConnectorError: As EbayCaller.
        """
        now = self._clock.monotonic()
        known = self._known.get(key_id)
        if known is not None and now - known[0] < KEY_SECONDS:
            return known[1]
        await self._limiter.acquire()
        key = await self._read(key_id)
        self._known[key_id] = (now, key)
        self._known.move_to_end(key_id)
        while len(self._known) > _MAX_KEYS:
            self._known.popitem(last=False)
        return key

    async def _read(self, key_id: str) -> SigningKey | None:
        seller = Seller(SITES["EBAY_US"], self._application.get_access_token)
        path = f"/public_key/{quote(key_id, safe='')}"
        try:
            content = await self._caller.get(seller, path, "show a signing key", requires="key")
        except EbayRefusedError as error:
            if error.has(_KEY_NOT_FOUND):
                return None
            raise
        digest = _DIGESTS.get(str(content.get("digest") or ""))
        try:
            # One line, with the frame of a PEM around it.
            text = str(content["key"]).replace("-----BEGIN PUBLIC KEY-----", "")
            key = load_der_public_key(
                base64.b64decode("".join(text.replace("-----END PUBLIC KEY-----", "").split()), validate=True)
            )
        except (binascii.Error, ValueError) as error:
            raise RetryableError("eBay's signing key cannot be read.", code="MALFORMED_ANSWER") from error
        if digest is None or not isinstance(key, ec.EllipticCurvePublicKey):
            raise RetryableError(
                "eBay's signing key is of a kind that is not known here.", code="KEY_UNKNOWN"
            )
        return SigningKey(key, digest)
