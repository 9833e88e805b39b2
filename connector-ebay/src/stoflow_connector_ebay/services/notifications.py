"""Receives eBay's notifications: hints that something happened, which a sync then reads.

eBay sends each at least once, and again until it is answered with a 2xx.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from stoflow_connector_ebay.clients.notification import SigningKeyClient
from stoflow_connector_sdk import ConnectorError, Hint, HintKind, WebhookAnswer, WebhookRequest
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

Json = Mapping[str, Any]

_SIGNATURE_HEADER = "x-ebay-signature"
_MAX_KEY_ID = 100
_KINDS: Final[Mapping[str, HintKind]] = {
    # One for each line of an order, and again when a payment that had failed succeeds.
    "ORDER_CONFIRMATION": HintKind.ORDERS,
    "AUTHORIZATION_REVOCATION": HintKind.AUTHORIZATION_REVOKED,
    # Sent for every eBay user who closes an account, ours or not; eBay requires it of every application.
    "MARKETPLACE_ACCOUNT_DELETION": HintKind.ACCOUNT_DELETED,
}
# What eBay's own examples answer to a signature that is not right.
_NOT_SIGNED = WebhookAnswer(status=412, body=b"signature refused")


class EbayNotifications:
    """One destination of eBay's Notification API.

    Attributes:
        path: Below /webhooks/.
    """

    path = "ebay/notifications"

    def __init__(self, keys: SigningKeyClient, endpoint_url: str, verification_token: str) -> None:
        """Prepares the destination.

        Args:
            keys: eBay's signing keys.
            endpoint_url: Its public address, to the letter as it was registered at eBay.
            verification_token: As it was registered at eBay.
        """
        self._keys = keys
        self._endpoint_url = endpoint_url
        self._verification_token = verification_token

    async def receive(self, request: WebhookRequest) -> WebhookAnswer:
        """Answers eBay's challenge, or takes a notification that eBay has signed."""
        if request.method == "GET" and "challenge_code" in request.query:
            return self._answer_challenge(request.query["challenge_code"])
        if request.method != "POST":
            return WebhookAnswer(status=405)
        try:
            is_signed = await self._is_signed(request)
        except ConnectorError as error:
            log.warning("signing_key_not_read", code=error.code, error=error.message)
            # eBay repeats what was not answered with a 2xx.
            return WebhookAnswer(status=503)
        if not is_signed:
            log.warning("notification_refused", reason="signature")
            return _NOT_SIGNED
        hint = _hint(request.body)
        return WebhookAnswer(status=204, hints=[] if hint is None else [hint])

    def _answer_challenge(self, code: str) -> WebhookAnswer:
        text = f"{code}{self._verification_token}{self._endpoint_url}"
        body = orjson.dumps({"challengeResponse": hashlib.sha256(text.encode()).hexdigest()})
        return WebhookAnswer(status=200, body=body, content_type="application/json")

    async def _is_signed(self, request: WebhookRequest) -> bool:
        header = _object(request.headers.get(_SIGNATURE_HEADER, ""), is_base64=True)
        key_id, signature = header.get("kid"), header.get("signature")
        if not isinstance(key_id, str) or not isinstance(signature, str):
            return False
        if not 0 < len(key_id) <= _MAX_KEY_ID:
            return False
        try:
            raw = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            # Not even Base64: it is nobody's signature.
            return False
        key = await self._keys.find_key(key_id)
        return key is not None and key.verifies(raw, request.body)


def _hint(body: bytes) -> Hint | None:
    content = _object(body)
    topic = str(_part(content, "metadata").get("topic") or "")
    notification = _part(content, "notification")
    data = _part(notification, "data")
    kind = _KINDS.get(topic)
    user_id = _user_id(data)
    if kind is None or not user_id:
        log.info("notification_without_use", topic=topic, names_user=bool(user_id))
        return None
    notification_id = str(notification.get("notificationId") or "")
    return Hint(
        # Without an id the same body is the same notification.
        hint_id=notification_id[:200] or hashlib.sha256(body).hexdigest(),
        remote_account_id=user_id,
        kind=kind,
        remote_id=str(_part(data, "order").get("orderId") or data.get("orderId") or "")[:200],
        occur_time=_moment(notification.get("eventDate")),
    )


def _user_id(data: Json) -> str:
    # The topics name the seller in different places.
    for holder in (data, _part(data, "user"), _part(data, "seller")):
        for name in ("userId", "sellerId", "sellerUserId"):
            if isinstance(found := holder.get(name), str) and found:
                return found[:200]
    return ""


def _part(content: Json, name: str) -> Json:
    part = content.get(name)
    return part if isinstance(part, dict) else {}


def _object(raw: str | bytes, *, is_base64: bool = False) -> Json:
    try:
        content = orjson.loads(base64.b64decode(raw, validate=True) if is_base64 else raw)
    except (binascii.Error, ValueError):
        # Whatever it is, it says nothing.
        return {}
    return content if isinstance(content, dict) else {}


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
