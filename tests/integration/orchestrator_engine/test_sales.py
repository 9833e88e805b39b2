"""A sale on one marketplace ends or updates the product's other listings."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from stoflow.catalog.v1 import order_pb2, product_service_pb2
from stoflow.connector.v1 import task_pb2
from stoflow.jobs.v1 import job_pb2

from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector
from tests.integration.orchestrator_engine.control import eventually
from tests.integration.orchestrator_engine.market import finish, open_market, run_job, seen

ACTIONS = ("publish", "update", "delete", "sync_orders")


@pytest.fixture(scope="module")
def engine_settings() -> dict[str, str]:
    """Leases long enough for a test to act within one, on a busy machine as well."""
    return {"LEASE_SECONDS": "20", "DISPATCH_TIMEOUT_SECONDS": "20"}


class Seller:
    """One tenant with an account on each of two marketplaces."""

    def __init__(self, here: Shop, there: Shop, at_here: Connector, at_there: Connector) -> None:
        self.here, self.there = here, there
        self.at_here, self.at_there = at_here, at_there

    @classmethod
    async def open(cls, here: Shop, *there_actions: str) -> Seller:
        there = Shop(here.orchestrator, here.stubs)
        # Closed with the shop.
        there.connectors = here.connectors
        at_here = await open_market(here, *ACTIONS)
        at_there = await open_market(there, *(there_actions or ACTIONS))
        there.tenant_id = here.tenant_id
        there.account_id = await here.stubs.create_account(here.tenant_id, there.marketplace)
        return cls(here, there, at_here, at_there)

    async def list_product(self, stock: int) -> str:
        product_id = await self.here.stubs.create_product(
            self.here.tenant_id, stock_quantity=stock, sku="DRESS-1"
        )
        await run_job(self.here, self.at_here, "publish", product_id, listing=seen("here-1"))
        await run_job(self.there, self.at_there, "publish", product_id, listing=seen("there-1"))
        return product_id

    async def sync(self, *orders: task_pb2.OrderChange) -> None:
        """The marketplace here reports orders."""
        await run_job(self.here, self.at_here, "sync_orders", orders=orders)

    async def stock(self, product_id: str) -> int:
        request = product_service_pb2.GetProductRequest(tenant_id=self.here.tenant_id, product_id=product_id)
        return (await self.here.stubs.products.GetProduct(request)).product.content.stock_quantity

    async def live_jobs(self, shop: Shop) -> list[tuple[Any, ...]]:
        return await shop.query(
            "SELECT action, priority FROM public.live_jobs WHERE account_id = %s"
            " AND state IN ('PENDING', 'RUNNING', 'PAUSED') ORDER BY sequence",
            shop.account_id,
        )

    async def wait_for_job(self, shop: Shop, action: str, priority: int) -> None:
        async def is_there() -> bool:
            return await self.live_jobs(shop) == [(action, priority)]

        await eventually(is_there, f"a job {action} with priority {priority}")


def order(
    remote_id: str = "o-1",
    *,
    quantity: int = 1,
    state: order_pb2.OrderState.ValueType = order_pb2.ORDER_STATE_PAID,
    listing: str = "here-1",
    minutes: float = 0,
) -> task_pb2.OrderChange:
    now = datetime.now(UTC) + timedelta(seconds=1)
    change = task_pb2.OrderChange(remote_id=remote_id, state=state)
    change.place_time.FromDatetime(now)
    change.change_time.FromDatetime(now + timedelta(minutes=minutes))
    change.lines.add(
        remote_id="1", listing_remote_id=listing, sku="DRESS-1", title="Dress", quantity=quantity
    )
    return change


async def test_last_piece_sold_here_is_deleted_there(shop: Shop) -> None:
    """When the only piece is sold, the stock is zero and a CRITICAL delete of the other listing follows; one."""
    seller = await Seller.open(shop)
    product_id = await seller.list_product(1)
    sold = order()
    await seller.sync(sold)
    assert await seller.stock(product_id) == 0
    await seller.wait_for_job(seller.there, "delete", job_pb2.PRIORITY_CRITICAL)
    # The same order again, as overlapping windows bring it.
    await seller.sync(sold)
    await asyncio.sleep(1.5)
    assert await seller.live_jobs(seller.there) == [("delete", job_pb2.PRIORITY_CRITICAL)]
    assert await seller.live_jobs(seller.here) == []
    assert await seller.stock(product_id) == 0


async def test_one_of_several_sold_here_is_updated_there(shop: Shop) -> None:
    """While pieces are left the other listing gets an update with what is left, though nobody asked for updates."""
    seller = await Seller.open(shop)
    product_id = await seller.list_product(5)
    await seller.sync(order(quantity=2))
    assert await seller.stock(product_id) == 3
    await seller.wait_for_job(seller.there, "update", job_pb2.PRIORITY_NORMAL)
    command, granted = await seller.at_there.receive_and_start()
    assert granted.assignment.product.product.content.stock_quantity == 3
    await finish(seller.at_there, command, granted.lease_token, listing=seen("there-1"))
    await seller.there.wait_for_end(command.job_id)
    assert await seller.live_jobs(seller.here) == []


async def test_cancelled_order_gives_its_piece_back(shop: Shop) -> None:
    """A cancellation that a later sync reports returns the piece once, and a delete not yet made is not made."""
    seller = await Seller.open(shop)
    product_id = await seller.list_product(2)
    await seller.sync(order(quantity=2))
    assert await seller.stock(product_id) == 0
    await seller.wait_for_job(seller.there, "delete", job_pb2.PRIORITY_CRITICAL)
    cancelled = order(quantity=2, state=order_pb2.ORDER_STATE_CANCELLED, minutes=5)
    await seller.sync(cancelled)
    assert await seller.stock(product_id) == 2
    await seller.sync(cancelled)
    assert await seller.stock(product_id) == 2


async def test_marketplace_without_delete_gets_a_critical_update(shop: Shop) -> None:
    """Where listings cannot be ended, the update that says that nothing is left comes first of all."""
    seller = await Seller.open(shop, "publish", "update")
    await seller.list_product(1)
    await seller.sync(order())
    await seller.wait_for_job(seller.there, "update", job_pb2.PRIORITY_CRITICAL)


async def test_publication_under_way_is_followed_by_a_delete(shop: Shop) -> None:
    """A product that is being published elsewhere when its last piece is sold is deleted there behind it."""
    seller = await Seller.open(shop)
    product_id = await shop.stubs.create_product(shop.tenant_id, stock_quantity=1, sku="DRESS-1")
    await run_job(seller.here, seller.at_here, "publish", product_id, listing=seen("here-1"))
    publish = await seller.there.create_job(product_id, action="publish")
    command, granted = await seller.at_there.receive_and_start()
    await seller.sync(order())

    async def is_waiting() -> bool:
        return [action for action, _ in await seller.live_jobs(seller.there)] == ["publish", "delete"]

    await eventually(is_waiting, "the delete waits behind the publication")
    await finish(seller.at_there, command, granted.lease_token, listing=seen("there-1"))
    await seller.there.wait_for_end(publish.job_id)
    command, granted = await seller.at_there.receive_and_start()
    assert granted.assignment.action == "delete"
    await finish(seller.at_there, command, granted.lease_token)
    await seller.there.wait_for_end(command.job_id)


async def test_sale_and_its_consequences_outlive_the_process(shop: Shop) -> None:
    """Stock, count and planned endings are there with the order itself: one transaction, one row each."""
    seller = await Seller.open(shop)
    product_id = await seller.list_product(1)
    pause = "UPDATE public.account_gates SET pause_time = now() WHERE account_id = %s RETURNING 1"
    await shop.query(pause, seller.there.account_id)
    await seller.sync(order())
    rows = await shop.query(
        f"SELECT x.taken_quantity, x.is_counted, p.stock_quantity, o.xmin::text = p.xmin::text"
        f" FROM user_{shop.tenant_id}.order_lines AS x JOIN user_{shop.tenant_id}.orders AS o USING (order_id)"
        f" JOIN user_{shop.tenant_id}.products AS p USING (product_id) WHERE p.product_id = %s",
        product_id,
    )
    assert rows == [(1, True, 0, True)]
    await seller.wait_for_job(seller.there, "delete", job_pb2.PRIORITY_CRITICAL)


async def test_sale_by_sku_of_an_unlinked_listing_counts(shop: Shop) -> None:
    """An order that names no listing of ours counts for the product with its SKU, and ends every listing of it."""
    seller = await Seller.open(shop)
    product_id = await seller.list_product(1)
    await seller.sync(order(listing="unknown"))
    assert await seller.stock(product_id) == 0
    await seller.wait_for_job(seller.there, "delete", job_pb2.PRIORITY_CRITICAL)
    await seller.wait_for_job(seller.here, "delete", job_pb2.PRIORITY_CRITICAL)
