"""What a shop has set up, and what Etsy asks for in a category; kept for a while, for it seldom changes."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from stoflow_connector_etsy.clients.caller import EtsyCaller, Json
from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_etsy.errors import EtsyRefusedError
from stoflow_service_kit.clock import Clock, SystemClock

T = TypeVar("T")

SHOP_SECONDS = 300.0
TAXONOMY_SECONDS = 86_400.0
_MAX_KEPT = 10_000


class ShopClient:
    """Calls the operations that only read; every method may also raise what EtsyCaller does."""

    def __init__(self, caller: EtsyCaller, clock: Clock | None = None) -> None:
        self._caller = caller
        self._clock = clock or SystemClock()
        self._kept: OrderedDict[tuple[str, int], tuple[float, Any]] = OrderedDict()

    async def get_self(self, seller: Seller) -> Json:
        """Returns the user and shop that a token belongs to."""
        return await self._caller.get(seller, "/users/me", "name the shop's owner", requires="shop_id")

    async def get_shop(self, seller: Seller) -> Json:
        """Returns the shop."""
        path = f"/shops/{seller.shop_id}"
        return await self._keep(
            "shop",
            seller.shop_id,
            SHOP_SECONDS,
            lambda: self._caller.get(seller, path, "read the shop", requires="shop_id"),
        )

    async def list_shipping_profiles(self, seller: Seller) -> list[Json]:
        """Returns the shop's shipping profiles."""
        return await self._list(seller, "shipping-profiles", "list the shipping profiles")

    async def list_return_policies(self, seller: Seller) -> list[Json]:
        """Returns the shop's return policies."""
        return await self._list(seller, "policies/return", "list the return policies")

    async def list_readiness_states(self, seller: Seller) -> list[Json]:
        """Returns the shop's processing profiles."""
        return await self._list(seller, "readiness-state-definitions", "list the processing profiles")

    async def find_properties(self, seller: Seller, taxonomy_id: int) -> list[Json] | None:
        """Returns the properties of a category; None when Etsy has no such category."""

        async def read() -> list[Json] | None:
            path = f"/seller-taxonomy/nodes/{taxonomy_id}/properties"
            try:
                content = await self._caller.get(
                    seller, path, f"read the properties of category {taxonomy_id}", requires="results"
                )
            except EtsyRefusedError as error:
                if error.is_absent:
                    return None
                raise
            return list(content["results"])

        return await self._keep("properties", taxonomy_id, TAXONOMY_SECONDS, read)

    async def _list(self, seller: Seller, path: str, operation: str) -> list[Json]:
        async def read() -> list[Json]:
            try:
                content = await self._caller.get(
                    seller, f"/shops/{seller.shop_id}/{path}", operation, requires="results"
                )
            except EtsyRefusedError as error:
                # A shop that has none is told by some of these operations with a 404.
                if error.is_absent:
                    return []
                raise
            return list(content["results"])

        return await self._keep(path, seller.shop_id, SHOP_SECONDS, read)

    async def _keep(self, name: str, key: int, seconds: float, read: Callable[[], Awaitable[T]]) -> T:
        kept = self._kept.get((name, key))
        now = self._clock.monotonic()
        if kept is not None and kept[0] > now:
            value: T = kept[1]
            return value
        value = await read()
        self._kept[name, key] = (now + seconds, value)
        self._kept.move_to_end((name, key))
        while len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
        return value
