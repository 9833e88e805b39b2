from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest
from prometheus_client import CollectorRegistry

from stoflow_connector_sdk import Hint, HintKind, WebhookAnswer, WebhookRequest
from stoflow_connector_sdk.http.webhooks import MAX_BODY_BYTES, webhook_routes
from stoflow_connector_sdk.runtime.hints import HintSubmitter
from stoflow_connector_sdk.testing import InMemoryOrchestrator
from stoflow_service_kit.grpc_channel import open_channel
from stoflow_service_kit.http_server import HttpServer, create_app

SOLD = Hint(
    hint_id="n-1",
    remote_account_id="seller-1",
    kind=HintKind.ORDERS,
    remote_id="o-1",
    occur_time=datetime(2026, 1, 5, 10, tzinfo=UTC),
)


@dataclass
class Endpoint:
    """A marketplace's notifications, of which the test says what they mean."""

    path: str = "shop/notifications"
    answer: WebhookAnswer | Exception = field(default_factory=WebhookAnswer)
    received: list[WebhookRequest] = field(default_factory=list)

    async def receive(self, request: WebhookRequest) -> WebhookAnswer:
        self.received.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@asynccontextmanager
async def serve(endpoint: Endpoint, orchestrator: InMemoryOrchestrator) -> AsyncIterator[httpx.AsyncClient]:
    """The connector's HTTP side, as its start puts it together."""
    channel = open_channel(orchestrator.address)
    routes = webhook_routes([endpoint], HintSubmitter(channel, "shop").submit)
    server = HttpServer("127.0.0.1:0", create_app(CollectorRegistry(), lambda: True, routes))
    address = await server.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}/webhooks") as client:
            yield client
    finally:
        await server.stop()
        await channel.close()


async def test_hints_are_with_the_orchestrator_before_the_marketplace_is_answered() -> None:
    """A notification's hints are submitted in full, and only then answered with what the endpoint says."""
    endpoint = Endpoint(
        answer=WebhookAnswer(status=202, body=b"{}", content_type="application/json", hints=[SOLD])
    )
    async with InMemoryOrchestrator() as orchestrator, serve(endpoint, orchestrator) as client:
        answer = await client.post("/shop/notifications?a=1", content=b"signed", headers={"X-Signature": "s"})
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (
        202,
        b"{}",
        "application/json",
    )
    (request,) = endpoint.received
    assert (request.method, request.body) == ("POST", b"signed")
    assert request.headers["x-signature"] == "s"
    assert request.query == {"a": "1"}
    (hint,) = orchestrator.servicer.hints.values()
    assert (hint.marketplace, hint.hint_id, hint.remote_account_id) == ("shop", "n-1", "seller-1")
    assert (int(hint.kind), hint.remote_id) == (1, "o-1")
    assert hint.occur_time.ToDatetime(UTC) == SOLD.occur_time


async def test_orchestrator_that_is_away_makes_the_marketplace_send_again() -> None:
    """When the hints cannot be handed on, the marketplace hears 503 and not that all is well."""
    endpoint = Endpoint(answer=WebhookAnswer(hints=[SOLD]))
    async with InMemoryOrchestrator() as orchestrator, serve(endpoint, orchestrator) as client:
        orchestrator.fail_next("SubmitHint")
        first = await client.post("/shop/notifications")
        second = await client.post("/shop/notifications")
    assert (first.status_code, second.status_code) == (503, 200)
    assert len(orchestrator.servicer.hints) == 1


async def test_failing_endpoint_tells_the_sender_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """An endpoint that raises is answered 500 with an empty body, and no hint is handed on."""
    endpoint = Endpoint(answer=RuntimeError("inner secret"))
    async with InMemoryOrchestrator() as orchestrator, serve(endpoint, orchestrator) as client:
        answer = await client.post("/shop/notifications")
    assert (answer.status_code, answer.content) == (500, b"")
    assert orchestrator.servicer.hints == {}


async def test_refusal_hands_nothing_on() -> None:
    """An endpoint that refuses a signature answers as it likes, and the orchestrator hears nothing."""
    endpoint = Endpoint(answer=WebhookAnswer(status=401))
    async with InMemoryOrchestrator() as orchestrator, serve(endpoint, orchestrator) as client:
        answer = await client.get("/shop/notifications")
    assert answer.status_code == 401
    assert orchestrator.servicer.calls["SubmitHint"] == 0


async def test_body_beyond_the_limit_is_not_read() -> None:
    """A body that is too large is answered 413 before the endpoint sees anything of it."""
    endpoint = Endpoint()
    async with InMemoryOrchestrator() as orchestrator, serve(endpoint, orchestrator) as client:
        answer = await client.post("/shop/notifications", content=b"x" * (MAX_BODY_BYTES + 1))
    assert answer.status_code == 413
    assert endpoint.received == []
