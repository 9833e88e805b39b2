"""Etsy's webhooks: who sent one is proved by its signature, and what it says is only a hint to look.

The headers and the signature are those of the Standard Webhooks specification, which Etsy's names. Etsy's guide
gives the body: {"event_type": "order.paid", "resource_url": ".../shops/12/receipts/34", "shop_id": "12"}.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from stoflow_connector_sdk import Hint, HintKind, WebhookAnswer, WebhookRequest
from stoflow_service_kit.clock import Clock, SystemClock

PATH: Final = "etsy"
# Of the specification: an older one may be somebody's recording of it.
TOLERANCE_SECONDS: Final = 300.0
_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - a prefix
_VERSION: Final = "v1"
_ORDER_EVENTS: Final = "order."
_RECEIPT = re.compile(r"/receipts/(\d{1,19})(?:[/?]|$)")
_MAX_ID_CHARACTERS = 200


class EtsyWebhook:
    """Receives notifications of orders; an empty 204 tells Etsy that they need not come again."""

    def __init__(self, secret: str, clock: Clock | None = None) -> None:
        """Prepares the endpoint.

        Args:
            secret: The endpoint's signing secret, `whsec_` and base64.
            clock: Time.

        Raises:
            ValueError: The secret is no base64.
        """
        try:
            self._key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
        except binascii.Error as error:
            raise ValueError("ETSY_WEBHOOK_SECRET must be whsec_ and base64") from error
        self._clock = clock or SystemClock()

    @property
    def path(self) -> str:
        return PATH

    async def receive(self, request: WebhookRequest) -> WebhookAnswer:
        """Answers 204 with what is hinted at; 401 for whatever Etsy did not sign just now."""
        if request.method != "POST":
            return WebhookAnswer(status=405, body=b"POST only")
        webhook_id = request.headers.get("webhook-id", "")
        sent = _sent_time(request.headers.get("webhook-timestamp", ""))
        if not 0 < len(webhook_id) <= _MAX_ID_CHARACTERS or sent is None or not self._is_signed(request):
            return WebhookAnswer(status=401, body=b"not signed by Etsy")
        if abs((self._clock.now() - sent).total_seconds()) > TOLERANCE_SECONDS:
            return WebhookAnswer(status=401, body=b"not of these minutes")
        content = _read(request.body)
        if content is None:
            return WebhookAnswer(status=400, body=b"no event")
        return WebhookAnswer(status=204, hints=_hints(webhook_id, sent, content))

    def _is_signed(self, request: WebhookRequest) -> bool:
        names = ("webhook-id", "webhook-timestamp")
        head = ".".join(request.headers[name] for name in names)
        signed = hmac.new(self._key, f"{head}.".encode() + request.body, hashlib.sha256)
        expected = base64.b64encode(signed.digest()).decode("ascii")
        # Several may come while a secret is being replaced.
        offered = (entry.partition(",") for entry in request.headers.get("webhook-signature", "").split())
        return any(
            version == _VERSION and hmac.compare_digest(signature.encode(), expected.encode())
            for version, _, signature in offered
        )


def _hints(webhook_id: str, sent: datetime, content: Mapping[str, Any]) -> list[Hint]:
    shop_id = str(content.get("shop_id") or "")
    # Events of later days are acknowledged, and their meaning is what the next sync finds.
    if not shop_id.isdigit() or not str(content.get("event_type") or "").lower().startswith(_ORDER_EVENTS):
        return []
    receipt = _RECEIPT.search(str(content.get("resource_url") or ""))
    return [
        Hint(
            hint_id=webhook_id,
            remote_account_id=shop_id,
            kind=HintKind.ORDERS,
            remote_id=receipt.group(1) if receipt else "",
            occur_time=sent,
        )
    ]


def _sent_time(text: str) -> datetime | None:
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        return None
    return datetime.fromtimestamp(int(text), UTC)


def _read(body: bytes) -> Mapping[str, Any] | None:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        # Signed, and yet no JSON: nothing that can be acted on.
        return None
    return content if isinstance(content, dict) else None
