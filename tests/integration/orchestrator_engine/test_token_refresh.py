"""Access tokens that end, refreshed once however many connectors work for the account."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connecting import Market, TokenService, WorkHandler
from tests.integration.orchestrator_engine.control import state_of

JOBS = 8


@pytest.fixture(scope="module")
def engine_settings() -> dict[str, str]:
    """Leases long enough for a refresh to take its time, on a busy machine as well."""
    return {"LEASE_SECONDS": "20", "DISPATCH_TIMEOUT_SECONDS": "20"}


async def test_two_replicas_refresh_an_expired_token_once(shop: Shop) -> None:
    """Two connectors whose tasks all need a token that has ended refresh it once, and all get the new one."""
    market, services = Market(shop), (TokenService(), TokenService())
    market.endpoint.delay_seconds = 0.5
    first, second = (
        market.connector(slots=JOBS // 2, handlers=[WorkHandler(service)]) for service in services
    )
    async with first, second:
        account, _ = await market.connect()
        shop.account_id = account.account_id
        await shop.query(
            f"UPDATE user_{shop.tenant_id}.accounts SET access_token_expire_time = now() RETURNING 1"
        )
        products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(JOBS)]
        jobs = await asyncio.gather(*(shop.create_job(product, action="work") for product in products))
        ended = await asyncio.gather(*(shop.wait_for_end(job.job_id) for job in jobs))
    assert {state_of(job) for job in ended} == {"COMPLETED"}
    assert len(market.endpoint.refreshed) == 1
    # Both were at it, and the token that had ended went to nobody.
    assert all(service.tokens for service in services)
    assert len({token for service in services for token in service.tokens}) == 1


async def test_rotated_tokens_survive_a_grant_that_ran_out(shop: Shop) -> None:
    """A refresh that outlasts its grant is saved all the same while nobody else has begun one: access and refresh
    token, in one step.
    """
    market = Market(shop)
    market.endpoint.delay_seconds = 1.0
    async with market.connector():
        account, _ = await market.connect()
        shop.account_id = account.account_id
        table = f"user_{shop.tenant_id}.accounts"
        await shop.query(f"UPDATE {table} SET access_token_expire_time = now() RETURNING 1")
        job = await shop.create_job(action="work")
        async with asyncio.timeout(15):
            while not market.endpoint.refreshed:  # noqa: ASYNC110 - the endpoint sends no event
                await asyncio.sleep(0.05)
        # As if the thirty seconds were over while the marketplace thinks.
        await shop.query(f"UPDATE {table} SET grant_expire_time = now() - interval '1 s' RETURNING 1")
        assert state_of(await shop.wait_for_end(job.job_id)) == "COMPLETED"
        await shop.query(f"UPDATE {table} SET access_token_expire_time = now() RETURNING 1")
    # Another replica goes on with what was saved: the marketplace takes only the newest refresh token.
    async with market.connector():
        job = await shop.create_job(action="work")
        assert state_of(await shop.wait_for_end(job.job_id)) == "COMPLETED"
    assert len(market.endpoint.refreshed) == len(set(market.endpoint.refreshed)) == 2
