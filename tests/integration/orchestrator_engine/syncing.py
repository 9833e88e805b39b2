"""A marketplace that syncs orders and listings, and sellers whose ids it knows."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from stoflow.accounts.v1 import account_pb2, account_service_pb2
from stoflow.connector.v1 import connector_service_pb2 as rpc

from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector
from tests.integration.orchestrator_engine.market import open_market

ORDERS, LISTINGS = account_pb2.SYNC_KIND_ORDERS, account_pb2.SYNC_KIND_LISTINGS


async def open_syncing(shop: Shop, *actions: str) -> Connector:
    """Opens the shop with a seller who is known to the marketplace as the account's id."""
    connector = await open_market(shop, *(actions or ("sync_orders", "sync_listings")))
    shop.account_id = await add_seller(shop, shop.tenant_id, f"seller-{uuid.uuid4().hex}")
    return connector


async def add_seller(shop: Shop, tenant_id: int, seller: str, sites: tuple[str, ...] = ()) -> str:
    """Creates an account whose seller the marketplace knows by this id."""
    request = account_service_pb2.CreateAccountRequest(
        request_id=str(uuid.uuid4()),
        tenant_id=tenant_id,
        marketplace=shop.marketplace,
        display_name="Corner shop",
        sites=sites,
        credentials=account_pb2.OAuthCredentials(refresh_token="refresh-canary"),
        remote_account_id=seller,
    )
    return (await shop.stubs.accounts.CreateAccount(request)).account.account_id


async def get_account(shop: Shop, account_id: str = "", tenant_id: int = 0) -> account_pb2.Account:
    """Returns an account as callers see it."""
    request = account_service_pb2.GetAccountRequest(
        tenant_id=tenant_id or shop.tenant_id, account_id=account_id or shop.account_id
    )
    return (await shop.stubs.accounts.GetAccount(request)).account


async def hint(
    shop: Shop,
    kind: rpc.HintKind.ValueType,
    seller: str = "",
    hint_id: str = "",
    when: datetime | None = None,
) -> rpc.SubmitHintResponse:
    """Hands a notification on, as a connector does."""
    request = rpc.SubmitHintRequest(
        marketplace=shop.marketplace,
        hint_id=hint_id or str(uuid.uuid4()),
        remote_account_id=seller or (await get_account(shop)).remote_account_id,
        kind=kind,
    )
    if when is not None:
        request.occur_time.FromDatetime(when)
    return await shop.stubs.connector.SubmitHint(request)


async def live_syncs(shop: Shop, account_id: str = "") -> list[tuple[Any, ...]]:
    """Returns action and site of an account's jobs that have not ended."""
    return await shop.query(
        "SELECT action, site FROM public.live_jobs WHERE account_id = %s"
        " AND state IN ('PENDING', 'RUNNING', 'PAUSED') ORDER BY action, site",
        account_id or shop.account_id,
    )


async def policies(shop: Shop) -> dict[int, account_pb2.SyncPolicy]:
    """Returns the account's policies by kind."""
    request = account_service_pb2.GetSyncPoliciesRequest(tenant_id=shop.tenant_id, account_id=shop.account_id)
    response = await shop.stubs.accounts.GetSyncPolicies(request)
    return {policy.kind: policy for policy in response.policies}


async def set_policy(
    shop: Shop, kind: account_pb2.SyncKind.ValueType, is_automatic: bool, seconds: int | None = None
) -> account_pb2.SyncPolicy:
    """Sets a policy."""
    request = account_service_pb2.SetSyncPolicyRequest(
        request_id=str(uuid.uuid4()),
        tenant_id=shop.tenant_id,
        account_id=shop.account_id,
        kind=kind,
        is_automatic=is_automatic,
    )
    if seconds is not None:
        request.interval.FromSeconds(seconds)
    return (await shop.stubs.accounts.SetSyncPolicy(request)).policy


async def make_due(shop: Shop, kind: str) -> None:
    """Lets the time of an account's next sync come."""
    await shop.query(
        "UPDATE public.account_syncs SET due_time = now() WHERE account_id = %s AND kind = %s RETURNING 1",
        shop.account_id,
        kind,
    )
