"""An Etsy in memory, without a network: the client's requests go straight to the marketplace's rules."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx

from stoflow_sandbox.marketplaces.clock import Clock
from stoflow_sandbox.marketplaces.etsy.context import Context
from stoflow_sandbox.marketplaces.etsy.control import SeededShop
from stoflow_sandbox.marketplaces.etsy.marketplace import EtsyMarketplace
from stoflow_sandbox.marketplaces.etsy.sellers import seed_seller, seller_view
from stoflow_sandbox.marketplaces.etsy.state import Seller, World
from stoflow_sandbox.marketplaces.etsy.store import MemoryStore
from stoflow_sandbox.marketplaces.exchange import Call, Reply
from tests.integration.sandbox_etsy.etsy_client import EtsyClient

BASE_URL = "http://etsy.test"
VIEW_FIELDS = set(SeededShop.__dataclass_fields__)


@dataclass
class EtsySite:
    """A marketplace, and clients of the sellers that are seeded."""

    clock: Clock = field(default_factory=Clock)
    replies: list[Reply] = field(default_factory=list)
    marketplace: EtsyMarketplace = field(init=False)

    def __post_init__(self) -> None:
        self.marketplace = EtsyMarketplace(World(), MemoryStore(), self.clock)

    @property
    def world(self) -> World:
        return self.marketplace.world

    @property
    def context(self) -> Context:
        return Context(self.clock.now(), self.world.ids, BASE_URL)

    def seed(self, username: str = "ann", **options: Any) -> Seller:
        identity = {"username": username, "client_id": "key", "client_secret": "hush"}
        seller = seed_seller(self.world, identity | options, self.clock.now())
        self.marketplace.keep(seller)
        return seller

    def client(self, username: str = "ann", **options: Any) -> EtsyClient:
        """Seed a seller and return a client that acts for it."""
        view = seller_view(self.world, self.seed(username, **options))
        shop = SeededShop(
            **{name: value for name, value in view.items() if name in VIEW_FIELDS}, client_secret="hush"
        )
        http = httpx.Client(base_url=BASE_URL, transport=httpx.MockTransport(self._answer))
        return EtsyClient(http, shop)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        call = Call(
            request.method,
            request.url.path,
            request.url.query.decode(),
            {name.lower(): value for name, value in request.headers.items()},
            request.read(),
            BASE_URL,
        )
        reply = asyncio.run(self.marketplace.respond(call))
        self.replies.append(reply)
        headers = reply.headers | {"content-type": reply.media_type}
        return httpx.Response(reply.status, headers=headers, content=reply.encode())

    @property
    def last_effects(self) -> list[str]:
        """The kinds of effect of the last call."""
        return [effect.kind for effect in self.replies[-1].effects]


def error(answer: httpx.Response) -> str:
    text: str = answer.json()["error"]
    return text
