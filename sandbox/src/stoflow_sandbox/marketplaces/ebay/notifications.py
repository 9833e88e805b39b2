"""Notifications: signed as eBay signs them, and sent when a control call says so.

The header X-EBAY-SIGNATURE is Base64 of {"alg", "kid", "signature", "digest"}; the signature is ECDSA with SHA-1 over
the body as it is sent, and getPublicKey answers the key.
"""

import base64
import hashlib
import json
import secrets
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stoflow_sandbox.marketplaces.ebay.errors import ebay_error, refuse
from stoflow_sandbox.marketplaces.ebay.state import Seller
from stoflow_sandbox.marketplaces.exchange import Reply

TOPICS = ("AUTHORIZATION_REVOCATION", "MARKETPLACE_ACCOUNT_DELETION", "ORDER_CONFIRMATION")
SIGNATURE_HEADER = "x-ebay-signature"
TIMEOUT_SECONDS = 10


class Notary:
    """Holds the key and signs."""

    def __init__(self) -> None:
        self.key_id = str(uuid.uuid4())
        self._key = ec.generate_private_key(ec.SECP256R1())

    def show_key(self, key_id: str) -> Reply:
        """Answer getPublicKey, in the one line that the live API sends."""
        if key_id != self.key_id:
            return refuse(404, ebay_error(195001))
        pem = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        key = pem.decode().replace("\n", "")
        return Reply(200, {"key": key, "algorithm": "ECDSA", "digest": "SHA1"})

    def sign(self, body: bytes) -> str:
        """Return the header for a body."""
        # SHA-1 is what eBay's own notifications carry.
        signature = self._key.sign(body, ec.ECDSA(hashes.SHA1()))  # noqa: S303
        content = {
            "alg": "ecdsa",
            "kid": self.key_id,
            "signature": base64.b64encode(signature).decode(),
            "digest": "SHA1",
        }
        return base64.b64encode(json.dumps(content).encode()).decode()


def make_notification(
    topic: str, seller: Seller, notification_id: str, order_id: str, now: float
) -> dict[str, Any]:
    """Return the body of a notification about a seller."""
    time = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    user = {"userId": seller.user_id, "username": seller.username}
    data: dict[str, Any] = {**user, "eiasToken": f"nY+sHZ2PrBmdj6wVnY+{seller.user_id}"}
    if topic == "ORDER_CONFIRMATION":
        data = {"user": user, "order": {"orderId": order_id}}
    return {
        "metadata": {"topic": topic, "schemaVersion": "1.0", "deprecated": False},
        "notification": {
            "notificationId": notification_id,
            "eventDate": time,
            "publishDate": time,
            "publishAttemptCount": 1,
            "data": data,
        },
    }


async def send(url: str, body: bytes, signature: str) -> int:
    """Post a notification; returns the receiver's status, 0 when there was no answer."""
    headers = {"content-type": "application/json", SIGNATURE_HEADER: signature}
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            return (await client.post(url, content=body, headers=headers)).status_code
    except httpx.HTTPError:
        return 0


async def challenge(url: str, endpoint: str, verification_token: str) -> bool:
    """Ask a receiver as eBay does before it subscribes it: does it know the token?"""
    code = secrets.token_hex(16)
    expected = hashlib.sha256(f"{code}{verification_token}{endpoint}".encode()).hexdigest()
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            response = await client.get(url, params={"challenge_code": code})
            return response.status_code == 200 and bool(response.json().get("challengeResponse") == expected)
    except (httpx.HTTPError, ValueError, AttributeError):
        return False
