"""Webhooks: signed over id.timestamp.rawBody, sent again until they are acknowledged, kept to be looked at.

The headers are those of the Standard Webhooks specification, which Etsy's name: the key is the base64 behind
whsec_, the signature reads v1,<base64 of HMAC-SHA256>.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from stoflow_sandbox.marketplaces.clock import Clock
from stoflow_sandbox.marketplaces.etsy.state import App

EVENTS = ("order.paid", "order.canceled", "order.shipped", "order.delivered")
# Etsy repeats for hours; a sandbox need not keep anybody waiting that long.
RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0)
TIMEOUT_SECONDS = 10
SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix


@dataclass(slots=True)
class Delivery:
    """One webhook and what became of each attempt: a status, or null when nobody answered."""

    id: str
    url: str
    body: str
    statuses: list[int | None] = field(default_factory=list)

    def view(self) -> dict[str, Any]:
        return asdict(self)


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def secret_violations(secret: str) -> list[str]:
    try:
        base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return ["webhook_secret: expected whsec_ and base64"]
    return []


def sign(secret: str, webhook_id: str, timestamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    content = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


class WebhookSender:
    """Sends webhooks in the background."""

    def __init__(self, clock: Clock) -> None:
        self.deliveries: dict[str, Delivery] = {}
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def announce(self, app: App, event: str, shop_id: int, resource_url: str) -> Delivery | None:
        """Send an event to the application's endpoint, if it has one."""
        if app.webhook_url is None:
            return None
        content = {"event_type": event, "resource_url": resource_url, "shop_id": str(shop_id)}
        delivery = Delivery(f"msg_{secrets.token_hex(12)}", app.webhook_url, json.dumps(content))
        self.deliveries[delivery.id] = delivery
        self._spawn(app, delivery)
        return delivery

    async def repeat(self, app: App, delivery: Delivery, *, is_forged: bool) -> int | None:
        """Send a webhook once more under the same id, with a wrong signature when it is to be forged."""
        return await self._send(app, delivery, is_forged=is_forged)

    def _spawn(self, app: App, delivery: Delivery) -> None:
        task = asyncio.create_task(self._deliver(app, delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, app: App, delivery: Delivery) -> None:
        for wait in (*RETRY_SECONDS, None):
            status = await self._send(app, delivery)
            if wait is None or (status is not None and 200 <= status < 300):
                return
            await asyncio.sleep(wait)

    async def _send(self, app: App, delivery: Delivery, *, is_forged: bool = False) -> int | None:
        body = delivery.body.encode()
        timestamp = str(int(self._clock.now()))
        key = new_secret() if is_forged else app.webhook_secret
        headers = {
            "content-type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": timestamp,
            "webhook-signature": sign(key, delivery.id, timestamp, body),
        }
        status: int | None = None
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
                status = (await client.post(delivery.url, content=body, headers=headers)).status_code
        except httpx.HTTPError:
            # A receiver that is away is what repeating is for; the attempt is on record without a status.
            pass
        delivery.statuses.append(status)
        return status

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
