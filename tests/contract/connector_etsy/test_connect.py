"""Sellers connect their shops, and Etsy's webhooks are believed only when they are signed."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from stoflow_connector_etsy.webhooks import EtsyWebhook
from stoflow_connector_sdk import AuthRequiredError, HintKind, WebhookRequest
from stoflow_sandbox.marketplaces.etsy.webhooks import sign
from stoflow_service_kit.clock import ManualClock
from tests.contract.connector_etsy.selling import Selling

REDIRECT = "http://127.0.0.1:1/callback"


def consent(selling: Selling, verifier: str) -> str:
    """Sends the seller to the page that the definition describes; returns the code."""
    description = selling.definition.oauth
    assert description is not None
    assert description.pkce
    digest = hashlib.sha256(verifier.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": description.client_id,
        "redirect_uri": REDIRECT,
        "scope": " ".join(description.scopes),
        "state": "state-of-the-test",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    redirect = selling.control.consent(
        selling.shop.username, f"{description.authorize_url}?{urlencode(query)}"
    )
    return parse_qs(urlsplit(redirect).query)["code"][0]


async def test_consent_connects_the_shop_with_its_profiles(selling: Selling) -> None:
    """A code gives both tokens, the shop's id and name, and the profiles of which there is only one."""
    verifier = secrets.token_urlsafe(48)
    exchanger = selling.definition.code_exchanger
    assert exchanger is not None
    account = await exchanger.exchange(consent(selling, verifier), REDIRECT, verifier)
    assert account.remote_account_id == str(selling.shop.shop_id)
    assert account.settings == selling.account_settings
    assert account.display_name
    assert account.tokens.access_token.startswith(f"{selling.shop.user_id}.")
    assert account.tokens.refresh_token
    assert account.tokens.access_token not in repr(account)


async def test_code_of_another_verifier_is_refused(selling: Selling) -> None:
    """A stolen code is worth nothing without the verifier."""
    exchanger = selling.definition.code_exchanger
    assert exchanger is not None
    with pytest.raises(AuthRequiredError):
        await exchanger.exchange(
            consent(selling, secrets.token_urlsafe(48)), REDIRECT, secrets.token_urlsafe(48)
        )


def request(
    selling: Selling, clock: ManualClock, headers: dict[str, str] | None = None, body: bytes = b""
) -> WebhookRequest:
    event = {
        "event_type": "order.paid",
        "resource_url": f"https://openapi.etsy.com/v3/application/shops/{selling.shop.shop_id}/receipts/77",
        "shop_id": str(selling.shop.shop_id),
    }
    content = body or json.dumps(event).encode()
    timestamp = str(int(clock.now().timestamp()))
    signed = {
        "webhook-id": "msg_1",
        "webhook-timestamp": timestamp,
        "webhook-signature": sign(selling.shop.webhook_secret, "msg_1", timestamp, content),
    }
    return WebhookRequest(method="POST", headers={**signed, **(headers or {})}, query={}, body=content)


async def test_signed_webhook_is_a_hint(selling: Selling) -> None:
    """A paid order says that the shop's orders should be read, and no more."""
    clock = ManualClock()
    answer = await EtsyWebhook(selling.shop.webhook_secret, clock).receive(request(selling, clock))
    (hint,) = answer.hints
    assert answer.status == 204
    assert (hint.hint_id, hint.kind, hint.remote_id) == ("msg_1", HintKind.ORDERS, "77")
    assert hint.remote_account_id == str(selling.shop.shop_id)


async def test_unsigned_webhook_is_refused(selling: Selling) -> None:
    """A wrong signature, another body, an old timestamp and missing headers are answered 401 without a hint."""
    clock = ManualClock()
    endpoint = EtsyWebhook(selling.shop.webhook_secret, clock)
    old = request(selling, clock)
    await clock.advance(301)
    fresh = request(selling, clock)
    forged = [
        old,
        request(selling, clock, {"webhook-signature": "v1,AAAA"}),
        request(selling, clock, {"webhook-signature": ""}),
        request(selling, clock, {"webhook-timestamp": "soon"}),
        WebhookRequest(method="POST", headers=fresh.headers, query={}, body=fresh.body + b" "),
        WebhookRequest(method="POST", headers={}, query={}, body=fresh.body),
    ]
    answers = [await endpoint.receive(one) for one in forged]
    assert [(answer.status, list(answer.hints)) for answer in answers] == [(401, [])] * 6
    get = WebhookRequest(method="GET", headers=fresh.headers, query={}, body=fresh.body)
    assert (await endpoint.receive(get)).status == 405


async def test_event_without_a_meaning_is_acknowledged(selling: Selling) -> None:
    """What is signed and means nothing here is not asked for again; what is no event is refused."""
    clock = ManualClock()
    endpoint = EtsyWebhook(selling.shop.webhook_secret, clock)
    other = await endpoint.receive(
        request(selling, clock, body=b'{"event_type": "shop.moved", "shop_id": "1"}')
    )
    broken = await endpoint.receive(request(selling, clock, body=b"[1]"))
    assert [(one.status, list(one.hints)) for one in (other, broken)] == [(204, []), (400, [])]


async def test_second_signature_counts_while_a_secret_is_replaced(selling: Selling) -> None:
    """Of several signatures one that fits is enough."""
    clock = ManualClock()
    fitting = request(selling, clock).headers["webhook-signature"]
    both = request(selling, clock, {"webhook-signature": f"v1,AAAA v2,BBBB {fitting}"})
    assert (await EtsyWebhook(selling.shop.webhook_secret, clock).receive(both)).status == 204


def test_without_a_secret_there_is_no_endpoint(selling: Selling) -> None:
    """Notifications that nobody can check are not received at all."""
    assert [one.path for one in selling.definition.webhooks] == ["etsy"]
    selling.use(etsy_webhook_secret=None)
    assert selling.definition.webhooks == []
    with pytest.raises(ValueError, match="ETSY_WEBHOOK_SECRET"):
        EtsyWebhook("whsec_?")
