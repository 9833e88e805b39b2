"""A marketplace with OAuth: its token endpoint, and a seller who connects an account there."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stoflow.accounts.v1 import account_pb2, account_service_pb2
from stoflow.jobs.v1 import job_pb2

from stoflow_connector_sdk import (
    AuthRequiredError,
    ConnectedAccount,
    ConnectorDefinition,
    DirectAPIJobHandler,
    OAuthDescription,
    RefreshedTokens,
    TaskContext,
    TaskResult,
    TaskSpec,
)
from stoflow_connector_sdk.runtime.connector_runtime import ConnectorRuntime
from stoflow_orchestrator.services.consents import code_challenge
from tests.integration.orchestrator_engine.conftest import Shop
from tests.support.sdk_connector import run_sdk_connector

REDIRECT_URI = "https://app.test/connected"


@dataclass
class TokenEndpoint:
    """Takes each code and each refresh token once, and keeps PKCE's promise."""

    challenges: dict[str, str] = field(default_factory=dict)
    sellers: dict[str, str] = field(default_factory=dict)
    spent: set[str] = field(default_factory=set)
    exchanged: list[str] = field(default_factory=list)
    refreshed: list[str] = field(default_factory=list)
    valid_refresh: dict[str, str] = field(default_factory=dict)
    lifetime: timedelta = timedelta(hours=2)
    delay_seconds: float = 0.0

    def consent(self, consent_url: str, seller: str = "seller-1") -> str:
        """What the page does when the seller agrees: returns the code."""
        query = parse_qs(urlsplit(consent_url).query)
        code = f"code-{uuid.uuid4().hex}"
        self.challenges[code] = query["code_challenge"][0]
        self.sellers[code] = seller
        return code

    async def exchange(self, code: str, redirect_uri: str, code_verifier: str) -> ConnectedAccount:
        self.exchanged.append(code)
        if code in self.spent or code not in self.sellers:
            raise AuthRequiredError("the code is worth nothing", code="invalid_grant", http_status=400)
        self.spent.add(code)
        if redirect_uri != REDIRECT_URI or code_challenge(code_verifier) != self.challenges[code]:
            raise AuthRequiredError("the code is another's", code="invalid_grant", http_status=400)
        seller = self.sellers[code]
        return ConnectedAccount(
            tokens=self._issue(seller),
            remote_account_id=seller,
            display_name=f"Shop of {seller}",
            sites=["SHOP_US"],
            settings={},
        )

    async def refresh(self, refresh_token: str) -> RefreshedTokens:
        self.refreshed.append(refresh_token)
        await asyncio.sleep(self.delay_seconds)
        seller = self.valid_refresh.pop(refresh_token, None)
        if seller is None:
            raise AuthRequiredError("the refresh token was used before", code="invalid_grant")
        return self._issue(seller)

    def _issue(self, seller: str) -> RefreshedTokens:
        refresh_token = f"refresh-{uuid.uuid4().hex}"
        self.valid_refresh[refresh_token] = seller
        return RefreshedTokens(
            f"access-{seller}-{uuid.uuid4().hex}", datetime.now(UTC) + self.lifetime, refresh_token
        )


class TokenService:
    """Work that needs a token."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    async def call_marketplace(self, task: TaskContext) -> TaskResult:
        self.tokens.append(await task.get_access_token())
        return TaskResult()


class WorkHandler(DirectAPIJobHandler):
    """One step of work."""

    action = "work"

    def __init__(self, service: TokenService) -> None:
        self.service = service

    def get_service(self) -> TokenService:
        return self.service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return [TaskSpec("call_marketplace", 30)]


@dataclass
class Market:
    """The marketplace as a seller and the application see it."""

    shop: Shop
    endpoint: TokenEndpoint = field(default_factory=TokenEndpoint)
    work: TokenService = field(default_factory=TokenService)

    def definition(self, **changes: Any) -> ConnectorDefinition:
        oauth = OAuthDescription(
            authorize_url="https://market.test/authorize",
            client_id="our-app",
            scopes=("orders", "listings"),
            pkce=True,
            extra_parameters={"prompt": "login"},
        )
        values: dict[str, Any] = {
            "marketplace": self.shop.marketplace,
            "display_name": "Market",
            "version": "1",
            "handlers": [WorkHandler(self.work)],
            "oauth": oauth,
            "code_exchanger": self.endpoint,
            "token_refresher": self.endpoint,
            **changes,
        }
        return ConnectorDefinition(**values)

    @asynccontextmanager
    async def connector(self, slots: int = 8, **changes: Any) -> AsyncIterator[ConnectorRuntime]:
        orchestrator = self.shop.orchestrator
        async with run_sdk_connector(
            self.definition(**changes), orchestrator.grpc_address, orchestrator.nats_url, slots=slots
        ) as runtime:
            if not self.shop.tenant_id:
                self.shop.tenant_id = await self.shop.stubs.create_tenant()
            yield runtime

    async def begin(self, account_id: str = "", **values: Any) -> account_service_pb2.BeginConnectResponse:
        target: dict[str, Any] = (
            {"account_id": account_id} if account_id else {"marketplace": self.shop.marketplace}
        )
        fields = {
            "request_id": str(uuid.uuid4()),
            "tenant_id": self.shop.tenant_id,
            "redirect_uri": REDIRECT_URI,
            **target,
            **values,
        }
        return await self.shop.stubs.accounts.BeginConnect(account_service_pb2.BeginConnectRequest(**fields))

    async def complete(self, state: str, **answer: Any) -> account_service_pb2.CompleteConnectResponse:
        fields = {
            "request_id": str(uuid.uuid4()),
            "tenant_id": self.shop.tenant_id,
            "state": state,
            **answer,
        }
        request = account_service_pb2.CompleteConnectRequest(**fields)
        return await self.shop.stubs.accounts.CompleteConnect(request)

    async def connect(
        self, seller: str = "seller-1", account_id: str = ""
    ) -> tuple[account_pb2.Account, job_pb2.Job]:
        """Goes the whole way; returns the account as it was before the job ran, and the job ended."""
        begun = await self.begin(account_id)
        completed = await self.complete(begun.state, code=self.endpoint.consent(begun.consent_url, seller))
        return begun.account, await self.shop.wait_for_end(completed.job.job_id)

    async def get_account(self, account_id: str) -> account_pb2.Account:
        request = account_service_pb2.GetAccountRequest(tenant_id=self.shop.tenant_id, account_id=account_id)
        return (await self.shop.stubs.accounts.GetAccount(request)).account
