"""eBay's notifications, sent by the sandbox over HTTP to the connector's own HTTP side."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from stoflow_connector_sdk.http.webhooks import webhook_routes
from stoflow_connector_sdk.runtime.hints import HintSubmitter
from stoflow_connector_sdk.testing import InMemoryOrchestrator
from stoflow_sandbox.marketplaces.control import SandboxControl
from stoflow_service_kit.grpc_channel import open_channel
from stoflow_service_kit.http_server import HttpServer, create_app
from tests.contract.connector_ebay.publishing import Publishing

ENDPOINT = "https://connector.example/webhooks/ebay/notifications"
TOKEN = "a-verification-token-of-forty-characters"


@dataclass
class Receiver:
    """A connector that receives."""

    url: str
    orchestrator: InMemoryOrchestrator
    control: SandboxControl
    username: str

    async def notify(self, topic: str, **options: Any) -> int:
        """Lets eBay send; returns the status that it was answered."""
        sent = await asyncio.to_thread(self.control.notify, self.url, topic, self.username, **options)
        return int(sent["status"])

    def hints(self) -> list[Any]:
        return list(self.orchestrator.servicer.hints.values())


@pytest.fixture
async def receiver(control: SandboxControl, publishing: Publishing) -> AsyncIterator[Receiver]:
    """The connector with its address and token registered at eBay."""
    changes = {"ebay_notification_url": ENDPOINT, "ebay_verification_token": TOKEN}
    publishing.use(publishing.settings.model_validate({**publishing.settings.model_dump(), **changes}))
    async with InMemoryOrchestrator() as orchestrator:
        channel = open_channel(orchestrator.address)
        routes = webhook_routes(publishing.definition.webhooks, HintSubmitter(channel, "ebay").submit)
        server = HttpServer("127.0.0.1:0", create_app(CollectorRegistry(), lambda: True, routes))
        address = await server.start()
        url = f"http://{address}/webhooks/ebay/notifications"
        yield Receiver(url, orchestrator, control, publishing.seller.username)
        await server.stop()
        await channel.close()


async def test_challenge_is_answered(receiver: Receiver) -> None:
    """eBay subscribes an address only when it knows code, token and address hashed together."""
    ask = receiver.control.challenge
    assert await asyncio.to_thread(ask, receiver.url, ENDPOINT, TOKEN)
    assert not await asyncio.to_thread(ask, receiver.url, ENDPOINT, TOKEN + "x")
    assert not await asyncio.to_thread(ask, receiver.url, ENDPOINT + "/", TOKEN)


@pytest.mark.parametrize(
    ("topic", "kind"),
    [("ORDER_CONFIRMATION", 1), ("AUTHORIZATION_REVOCATION", 3), ("MARKETPLACE_ACCOUNT_DELETION", 4)],
)
async def test_signed_notification_becomes_a_hint(receiver: Receiver, topic: str, kind: int) -> None:
    """Each topic is handed on as what it means, with eBay's own ids of the notification and the seller."""
    status = await receiver.notify(topic, notification_id=f"n-{topic}", order_id="12-34567-00001")
    (hint,) = receiver.hints()
    user_id = receiver.control.state(receiver.username)["sellers"][receiver.username]["user_id"]
    assert (status, hint.marketplace, hint.hint_id, int(hint.kind)) == (204, "ebay", f"n-{topic}", kind)
    assert hint.remote_account_id == user_id
    assert hint.remote_id == ("12-34567-00001" if kind == 1 else "")
    assert hint.HasField("occur_time")


async def test_notification_that_comes_twice_is_one_hint(receiver: Receiver) -> None:
    """The id of the notification is the hint's, by which the orchestrator drops the second."""
    for _ in range(2):
        assert await receiver.notify("ORDER_CONFIRMATION", notification_id="n-1") == 204
    assert len(receiver.hints()) == 1


@pytest.mark.parametrize("signature", ["absent", "forged"])
async def test_what_ebay_did_not_sign_says_nothing(receiver: Receiver, signature: str) -> None:
    """Without a signature, or with one of another body, the answer is 412 and no hint is handed on."""
    assert await receiver.notify("MARKETPLACE_ACCOUNT_DELETION", signature=signature) == 412
    assert receiver.hints() == []


@pytest.mark.parametrize("header", ["", "!!!", "e30=", "W10=", "eyJraWQiOiAieCIsICJzaWduYXR1cmUiOiAiPyJ9"])
async def test_broken_signature_headers_are_refused(receiver: Receiver, header: str) -> None:
    """Whatever stands in the header, it is a refusal and no error of ours."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(receiver.url, content=b"{}", headers={"x-ebay-signature": header})
    assert answer.status_code == 412


async def test_signing_key_is_read_once(receiver: Receiver) -> None:
    """eBay asks that its key be kept for an hour."""
    before = len(receiver.control.requests(operation="getPublicKey"))
    for _ in range(3):
        await receiver.notify("ORDER_CONFIRMATION")
    assert len(receiver.control.requests(operation="getPublicKey")) == before + 1


async def test_ebay_sends_again_what_could_not_be_checked_or_handed_on(receiver: Receiver) -> None:
    """While key or orchestrator cannot be had the answer is 503, and the same notification then counts once."""
    receiver.control.add_fault("status", method="GET", path="/commerce/notification/**", status=500)
    assert await receiver.notify("ORDER_CONFIRMATION", notification_id="n-1") == 503
    receiver.orchestrator.fail_next("SubmitHint")
    assert await receiver.notify("ORDER_CONFIRMATION", notification_id="n-1") == 503
    assert await receiver.notify("ORDER_CONFIRMATION", notification_id="n-1") == 204
    assert len(receiver.hints()) == 1


async def test_strangers_cannot_use_up_the_quota_with_names_of_keys(receiver: Receiver) -> None:
    """Signatures that name ever new keys make a few calls of eBay a minute and not one each."""
    before = len(receiver.control.requests(operation="getPublicKey"))
    statuses = set()
    async with httpx.AsyncClient() as client:
        for number in range(40):
            content = {"kid": f"key-{number}", "signature": base64.b64encode(b"x").decode()}
            header = base64.b64encode(json.dumps(content).encode()).decode()
            answer = await client.post(receiver.url, content=b"{}", headers={"x-ebay-signature": header})
            statuses.add(answer.status_code)
    assert statuses == {412, 503}
    assert len(receiver.control.requests(operation="getPublicKey")) - before <= 20
