"""What stands in the database while calls are refused, and whether it still stands so afterwards."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from stoflow.common.v1 import failure_pb2

from tests.integration.orchestrator_engine.batch_shop import cancel_batch, create_batch
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector, step
from tests.integration.orchestrator_engine.control import Scene, state_of, wait_until_archived
from tests.support.orchestrator import OrchestratorProcess, Stubs

SETTLE_SECONDS = 2.0
QUIET_TIMEOUT_SECONDS = 30.0
DAY = {"seconds": 86_400}
PAIRING_TOKEN = "p" * 40
TAKEN_SKU = "taken"

Snapshot = Mapping[str, str]


@dataclass
class World:
    """One tenant with something in every state, another with a little, and nothing that moves by itself."""

    orchestrator: OrchestratorProcess
    stats_address: str
    images: Path
    tenant_id: int = 0
    marketplace: str = ""
    instance_id: str = ""
    account_id: str = ""
    product_id: str = ""
    busy_product_id: str = ""
    # A request_id that was used by the tenant, and by operators, for something else.
    used_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    jobs: dict[str, str] = field(default_factory=dict)
    batches: dict[str, str] = field(default_factory=dict)
    # Ids by state.
    effects: dict[str, str] = field(default_factory=dict)
    task_id: str = ""
    # One that is linked to no product, and one that shows the busy one.
    listing_id: str = ""
    linked_listing_id: str = ""
    order_id: str = ""
    # A generation of statistics that a rebuild made.
    rebuild: int = 2
    pairing_id: str = ""
    # Ids of the other tenant's things, by the name of the field that takes them.
    foreign: dict[str, str] = field(default_factory=dict)
    foreign_tenant_id: int = 0

    def snapshot(self) -> dict[str, str]:
        """Digests every table of every schema, and the names of the stored pictures.

        Not the outbox: acknowledged rows of it leave with whatever group comes next.
        """
        with psycopg.connect(self.orchestrator.database_url) as connection:
            tables = connection.execute(
                "SELECT schemaname, tablename FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND tablename <> 'outbox'"
            ).fetchall()
            digests = sql.SQL(" UNION ALL ").join(
                sql.SQL(
                    "SELECT {label}, count(*) || ' ' || coalesce(md5(string_agg(t::text, ' ' ORDER BY t::text)), '')"
                    " FROM {table} AS t"
                ).format(label=sql.Literal(f"{schema}.{name}"), table=sql.Identifier(schema, name))
                for schema, name in tables
            )
            found = dict(connection.execute(digests).fetchall())
        files = sorted(str(path) for path in self.images.rglob("*") if path.is_file())
        found["images"] = hashlib.sha256("\n".join(files).encode()).hexdigest()
        return found

    def wait_until_quiet(self) -> None:
        """Waits until nothing has changed for a while."""
        deadline = time.monotonic() + QUIET_TIMEOUT_SECONDS
        last = self.snapshot()
        while time.monotonic() < deadline:
            time.sleep(SETTLE_SECONDS)
            now = self.snapshot()
            if now == last:
                return
            last = now
        raise AssertionError("the database never came to rest")


def changed(before: Snapshot, after: Snapshot) -> set[str]:
    """Names what differs."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def make_world(orchestrator: OrchestratorProcess, stats_address: str, images: Path) -> World:
    """Fills the database."""
    world = World(orchestrator, stats_address, images)
    asyncio.run(_fill(world))
    world.wait_until_quiet()
    return world


async def _fill(world: World) -> None:
    stubs = Stubs(world.orchestrator.grpc_address)
    shop, other = Shop(world.orchestrator, stubs), Shop(world.orchestrator, stubs)
    try:
        await _fill_shops(world, shop, other)
    finally:
        for opened in (*shop.connectors, *other.connectors):
            await opened.close()
        await stubs.close()


async def _fill_shops(world: World, shop: Shop, other: Shop) -> None:
    connector = await shop.open(step("only"), expire_after=DAY)
    other_connector = await other.open(
        step("create", once="listing"), requires_product=True, expire_after=DAY
    )
    world.tenant_id, world.marketplace = shop.tenant_id, shop.marketplace
    world.instance_id, world.account_id = connector.instance_id, shop.account_id
    world.product_id = await shop.stubs.create_product(shop.tenant_id, sku=TAKEN_SKU)
    await _add_jobs(world, shop, connector)
    await _add_batches(world, shop)
    await _add_effects(world, other, other_connector)
    await _add_foreign(world, other)
    await _add_findings(world, shop, other)
    await shop.query(
        "INSERT INTO stats.generations (generation, state, start_hour, hours_start, request_id, request_digest,"
        " first_day, finish_time) VALUES (%s, 'RETIRED', '2026-01-05Z', '2026-01-05Z', %s, 'x', '2026-01-05Z', now())"
        " RETURNING 1",
        world.rebuild,
        world.used_request_id,
    )
    world.pairing_id = await _add_pairing(shop, PAIRING_TOKEN)
    world.foreign["pairing_id"] = await _add_pairing(other, "o" * 40)
    for tenant_id in (0, shop.tenant_id):
        await shop.query(
            "INSERT INTO public.mutation_requests (tenant_id, request_id, method, body_sha256, result_id)"
            " VALUES (%s, %s, 'elsewhere', '\\x00', 'x') RETURNING 1",
            tenant_id,
            world.used_request_id,
        )


async def _add_jobs(world: World, shop: Shop, connector: Connector) -> None:
    scene = Scene(shop, connector)
    world.jobs = {
        "completed": await scene.completed(),
        "failed": await scene.failed(),
        "cancelled": await scene.cancelled(),
        "paused": await scene.paused(),
        "pending": await scene.delayed(),
    }
    pending = await shop.get_job(world.jobs["pending"])
    world.busy_product_id, world.task_id = pending.product_id, pending.tasks[0].task_id


async def _add_batches(world: World, shop: Shop) -> None:
    later = (await shop.get_job(world.jobs["pending"])).not_before_time
    products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(2)]
    live, cancelled = [await create_batch(shop, [product], not_before_time=later) for product in products]
    world.batches = {"pending": live.batch_id, "cancelled": cancelled.batch_id}
    await cancel_batch(shop, cancelled.batch_id)


async def _add_effects(world: World, shop: Shop, connector: Connector) -> None:
    for state in ("DONE", "UNRESOLVED"):
        product_id = await shop.stubs.create_product(shop.tenant_id)
        job = await shop.create_job(product_id)
        command, granted = await connector.receive_and_start()
        if state == "DONE":
            await connector.succeed(command, granted.lease_token, remote_id="r1")
        else:
            await connector.fail(command, granted.lease_token, failure_pb2.ERROR_CLASS_PERMANENT)
        await wait_until_archived(shop, job.job_id)
        ((effect_id,),) = await shop.query(
            "SELECT effect_id::text FROM public.effects WHERE product_id = %s AND state = %s",
            product_id,
            state,
        )
        world.effects[state] = str(effect_id)


async def _add_findings(world: World, shop: Shop, other: Shop) -> None:
    world.listing_id = await _add_listing(shop, shop.tenant_id, "unlinked", None)
    world.linked_listing_id = await _add_listing(shop, shop.tenant_id, "linked", world.busy_product_id)
    world.foreign["listing_id"] = await _add_listing(shop, other.tenant_id, "foreign", None)
    world.order_id = await _add_order(shop, shop.tenant_id)
    world.foreign["order_id"] = await _add_order(shop, other.tenant_id)


async def _add_listing(shop: Shop, tenant_id: int, remote_id: str, product_id: str | None) -> str:
    ((listing_id,),) = await shop.query(
        f"INSERT INTO user_{tenant_id}.listings (listing_id, marketplace, account_id, product_id, site, remote_id, url,"
        " state, product_version) VALUES (gen_random_uuid(), %s, %s, %s, '', %s, '', 'LIVE', 1)"
        " RETURNING listing_id::text",
        *(shop.marketplace, shop.account_id, product_id, remote_id),
    )
    return str(listing_id)


async def _add_order(shop: Shop, tenant_id: int) -> str:
    ((order_id,),) = await shop.query(
        f"INSERT INTO user_{tenant_id}.orders (order_id, marketplace, account_id, remote_id, state, place_time,"
        " change_time) VALUES (gen_random_uuid(), %s, %s, 'o', 'PAID', now(), now()) RETURNING order_id::text",
        *(shop.marketplace, shop.account_id),
    )
    return str(order_id)


async def _add_pairing(shop: Shop, token: str) -> str:
    ((pairing_id,),) = await shop.query(
        "INSERT INTO public.pairings (pairing_id, tenant_id, account_id, marketplace, token_sha256, client_id,"
        " client_name) VALUES (gen_random_uuid(), %s, %s, %s, sha256(%s::bytea), gen_random_uuid(), 'Browser')"
        " RETURNING pairing_id::text",
        *(shop.tenant_id, shop.account_id, shop.marketplace, token.encode()),
    )
    return str(pairing_id)


async def _add_foreign(world: World, shop: Shop) -> None:
    world.foreign_tenant_id = shop.tenant_id
    product_id = await shop.stubs.create_product(shop.tenant_id)
    later = (await shop.query("SELECT (now() + interval '1 hour')"))[0][0]
    batch = await create_batch(shop, [product_id], not_before_time=later)
    ((job_id, task_id),) = await shop.query(
        "SELECT job_id::text, task_id::text FROM public.live_jobs JOIN public.live_tasks USING (job_id)"
        " WHERE batch_id = %s",
        batch.batch_id,
    )
    assert state_of(await shop.get_job(str(job_id))) == "PENDING"
    world.foreign = {
        "account_id": shop.account_id,
        "product_id": product_id,
        "product_ids": product_id,
        "batch_id": batch.batch_id,
        "job_id": str(job_id),
        "task_id": str(task_id),
    }


def as_fields(**values: Any) -> dict[str, Any]:
    """Gives a request its own request_id."""
    return {"request_id": str(uuid.uuid4()), **values}
