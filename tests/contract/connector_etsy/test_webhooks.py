"""Etsy's own webhooks, as the sandbox sends them, reach the orchestrator through the connector's HTTP side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from stoflow_connector_sdk import Hint, HintKind
from stoflow_connector_sdk.http.webhooks import webhook_routes
from stoflow_service_kit.http_server import HttpServer, create_app
from tests.contract.connector_etsy.selling import Selling


@dataclass
class Taker:
    """Takes hints as the orchestrator does; refuses as many as it is told to."""

    hints: list[Hint] = field(default_factory=list)
    refusals: int = 0

    async def submit(self, hints: Sequence[Hint]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("nobody there")
        self.hints += hints


@pytest.fixture
async def taker(selling: Selling) -> AsyncIterator[Taker]:
    """The connector's routes on a free port, which the application's webhooks are sent to."""
    taker = Taker()
    routes = webhook_routes(selling.definition.webhooks, taker.submit)
    server = HttpServer("127.0.0.1:0", create_app(CollectorRegistry(), lambda: True, routes))
    address = await server.start()
    shop = selling.shop
    selling.control.seed_shop(
        shop.username,
        client_id=shop.client_id,
        client_secret=shop.client_secret,
        webhook_url=f"http://{address}/webhooks/etsy",
    )
    yield taker
    await server.stop()


async def sent(selling: Selling) -> dict[str, Any]:
    """The one webhook that was sent to this shop's application, once it was answered with a 2xx."""
    async with asyncio.timeout(20):
        while True:
            webhooks = await asyncio.to_thread(selling.control.webhooks)
            mine = [one for one in webhooks if f'"{selling.shop.shop_id}"' in one["body"]]
            if mine and mine[0]["statuses"] and mine[0]["statuses"][-1] == 204:
                (webhook,) = mine
                return webhook
            await asyncio.sleep(0.05)


async def buy(selling: Selling) -> int:
    job = await selling.run("publish")
    line = {"listing_id": int(job.last.remote_id), "quantity": 1}
    return await asyncio.to_thread(selling.control.buy, selling.shop.username, line)


async def test_paid_order_is_a_hint_once_and_a_forgery_none(selling: Selling, taker: Taker) -> None:
    """A sale is hinted at with Etsy's own id of the message; the same again has the same id, a forgery gets 401."""
    receipt = await buy(selling)
    webhook = await sent(selling)
    (hint,) = taker.hints
    assert (hint.hint_id, hint.kind, hint.remote_id) == (webhook["id"], HintKind.ORDERS, str(receipt))
    assert hint.remote_account_id == str(selling.shop.shop_id)
    assert await asyncio.to_thread(selling.control.repeat_webhook, webhook["id"]) == 204
    assert [one.hint_id for one in taker.hints] == [webhook["id"]] * 2
    forged = await asyncio.to_thread(lambda: selling.control.repeat_webhook(webhook["id"], is_forged=True))
    assert forged == 401
    assert len(taker.hints) == 2


async def test_hint_that_nobody_took_is_sent_again(selling: Selling, taker: Taker) -> None:
    """While the orchestrator cannot take a hint Etsy is not told that all is well, and repeats it."""
    taker.refusals = 1
    await buy(selling)
    webhook = await sent(selling)
    assert webhook["statuses"] == [503, 204]
    assert len(taker.hints) == 1
