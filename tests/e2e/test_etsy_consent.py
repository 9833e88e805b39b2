"""Etsy sellers consent, revoke and consent again, between real processes."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest_asyncio
from stoflow.accounts.v1 import account_pb2, account_service_pb2
from stoflow.catalog.v1 import product_pb2
from stoflow.jobs.v1 import job_pb2, job_service_pb2

from stoflow_sandbox.marketplaces.etsy.control import AsyncEtsySandboxControl
from stoflow_sandbox.processes import Supervisor
from tests.integration.sandbox_etsy.etsy_client import DRESSES, jpeg
from tests.support.orchestrator import Stubs, start_orchestrator

KEYSTRING = "StoFlow-Consent"
SHARED_SECRET = "secret-of-the-consent-test"
REDIRECT_URI = "https://stoflow.test/callback"
END_SECONDS = 60.0


@dataclass(frozen=True)
class System:
    """An orchestrator, Etsy's sandbox, and the connector between them."""

    stubs: Stubs
    control: AsyncEtsySandboxControl
    tenant_id: int

    async def connect(self, username: str, *, account_id: str = "") -> account_pb2.Account:
        """Sends a seller through Etsy's consent page and back, for a new account or for one again."""
        begin = account_service_pb2.BeginConnectRequest(
            request_id=str(uuid.uuid4()), tenant_id=self.tenant_id, redirect_uri=REDIRECT_URI
        )
        if account_id:
            begin.account_id = account_id
        else:
            begin.marketplace = "etsy"
        begun = await self.stubs.accounts.BeginConnect(begin)
        answer = parse_qs(urlsplit(await self.control.consent(username, begun.consent_url)).query)
        complete = account_service_pb2.CompleteConnectRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=self.tenant_id,
            state=answer["state"][0],
            code=answer["code"][0],
        )
        job = (await self.stubs.accounts.CompleteConnect(complete)).job
        await self.wait_until_completed(job.job_id)
        return await self.get_account(begun.account.account_id)

    async def get_account(self, account_id: str) -> account_pb2.Account:
        request = account_service_pb2.GetAccountRequest(tenant_id=self.tenant_id, account_id=account_id)
        return (await self.stubs.accounts.GetAccount(request)).account

    async def create_product(self, sku: str) -> str:
        return await self.stubs.create_product(
            self.tenant_id,
            images=(jpeg("red", (520, 500)),),
            sku=sku,
            origin=product_pb2.Origin(
                who_made=product_pb2.WHO_MADE_SOMEONE_ELSE, made_from_year=2012, made_to_year=2014
            ),
            attributes={"Size": product_pb2.AttributeValues(values=["M"])},
            overrides=[product_pb2.MarketplaceOverride(marketplace="etsy", category_id=str(DRESSES))],
        )

    async def publish(self, account: account_pb2.Account, product_id: str) -> str:
        request = job_service_pb2.CreateJobRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=self.tenant_id,
            account_id=account.account_id,
            product_id=product_id,
            action="publish",
        )
        return (await self.stubs.jobs.CreateJob(request)).job.job_id

    async def get_job(self, job_id: str) -> job_pb2.Job:
        request = job_service_pb2.GetJobRequest(tenant_id=self.tenant_id, job_id=job_id)
        return (await self.stubs.jobs.GetJob(request)).job

    async def wait_until_completed(self, job_id: str) -> None:
        request = job_service_pb2.WatchJobRequest(tenant_id=self.tenant_id, job_id=job_id)
        async for _ in self.stubs.jobs.WatchJob(request, timeout=END_SECONDS):
            pass
        job = await self.get_job(job_id)
        assert job.state == job_pb2.JOB_STATE_COMPLETED, str(job.failure)

    async def wait_until_paused(self, job_id: str) -> job_pb2.Job:
        """Waits until the job waits for its account."""
        deadline = time.monotonic() + END_SECONDS
        while True:
            job = await self.get_job(job_id)
            if job.wait_reason == job_pb2.WAIT_REASON_ACCOUNT_RECONNECT_REQUIRED:
                return job
            assert time.monotonic() < deadline, job
            await asyncio.sleep(0.1)

    async def listed(self, username: str) -> dict[str, int]:
        """Returns how many listings the shop ever brought live, by SKU."""
        return (await self.control.created(username))["listings"]


@pytest_asyncio.fixture
async def system(tmp_path: Path, database_url: str, nats_url: str) -> AsyncIterator[System]:
    """Everything started; a tenant without accounts; two sellers who have not consented yet."""
    async with AsyncExitStack() as stack:
        supervisor = Supervisor(tmp_path / "services")
        stack.push_async_callback(asyncio.to_thread, supervisor.stop_all)
        command = [sys.executable, "-m", "stoflow_sandbox.marketplaces.etsy"]
        sandbox = supervisor.start("sandbox", command, {"HTTP_ADDRESS": "127.0.0.1:0"})
        orchestrator = await asyncio.to_thread(
            start_orchestrator, supervisor, database_url, nats_url, tmp_path, LEASE_SECONDS="30"
        )
        url = f"http://{(await asyncio.to_thread(sandbox.wait_ready))['http_address']}"
        control = await stack.enter_async_context(AsyncEtsySandboxControl(url))
        for username in ("ann", "bob"):
            await control.seed_shop(
                username, client_id=KEYSTRING, client_secret=SHARED_SECRET, is_connected=False
            )
        settings = {
            "MARKETPLACE": "etsy",
            "ORCHESTRATOR_ADDRESS": orchestrator.grpc_address,
            "NATS_URL": nats_url,
            "ETSY_API_URL": url,
            "ETSY_AUTH_URL": url,
            "ETSY_CONSENT_URL": f"{url}/oauth/connect",
            "ETSY_KEYSTRING": KEYSTRING,
            "ETSY_SHARED_SECRET": SHARED_SECRET,
        }
        connector = supervisor.start("connector", [sys.executable, "-m", "stoflow_connector_etsy"], settings)
        await asyncio.to_thread(connector.wait_ready)
        stubs = Stubs(orchestrator.grpc_address)
        stack.push_async_callback(stubs.close)
        yield System(stubs, control, await stubs.create_tenant())


async def test_revoked_grant_pauses_only_its_account(system: System) -> None:
    """After a revocation one account's job waits unharmed, another's goes on, and a new consent ends the wait."""
    ann, bob = await system.connect("ann"), await system.connect("bob")
    first, second = await system.create_product("FIRST"), await system.create_product("SECOND")
    await system.wait_until_completed(await system.publish(ann, first))

    await system.control.revoke("ann")
    waiting = await system.publish(ann, second)
    going = await system.publish(bob, second)

    await system.wait_until_completed(going)
    paused = await system.wait_until_paused(waiting)
    assert paused.state == job_pb2.JOB_STATE_PENDING
    states = [(await system.get_account(one.account_id)).state for one in (ann, bob)]
    assert states == [account_pb2.ACCOUNT_STATE_RECONNECT_REQUIRED, account_pb2.ACCOUNT_STATE_CONNECTED]
    assert (await system.listed("ann"), await system.listed("bob")) == ({"FIRST": 1}, {"SECOND": 1})

    again = await system.connect("ann", account_id=ann.account_id)

    assert again.state == account_pb2.ACCOUNT_STATE_CONNECTED
    assert again.remote_account_id == ann.remote_account_id
    await system.wait_until_completed(waiting)
    assert await system.listed("ann") == {"FIRST": 1, "SECOND": 1}
