"""A seller with an account at eBay, and what may happen to it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
from stoflow.accounts.v1 import account_pb2, account_service_pb2
from stoflow.catalog.v1 import listing_pb2, listing_service_pb2, order_pb2, order_service_pb2
from stoflow.jobs.v1 import job_pb2, job_service_pb2

from stoflow_connector_ebay.bootstrap import make_definition
from stoflow_connector_ebay.settings import EbaySettings
from stoflow_connector_sdk.runtime.connector_runtime import ConnectorRuntime
from stoflow_sandbox.marketplaces.control import AsyncSandboxControl, SeededSeller
from tests.integration.sandbox_ebay.ebay_client import INVENTORY, EbayClient
from tests.support.orchestrator import OrchestratorProcess, Stubs
from tests.support.sdk_connector import run_sdk_connector

# eBay sends sellers not to an address in the request but to the one behind this name.
RU_NAME = "StoFlow-StoFlow-tests-abcdef"
ACCEPT_URL = "https://app.test/ebay"


@dataclass
class EbayShop:
    """One tenant, one seller."""

    orchestrator: OrchestratorProcess
    stubs: Stubs
    control: AsyncSandboxControl
    seller: SeededSeller
    tenant_id: int = 0
    account_id: str = ""

    @asynccontextmanager
    async def connector(self, slots: int = 8) -> AsyncIterator[ConnectorRuntime]:
        """A replica of the connector."""
        url = self.control.base_url
        settings = EbaySettings(
            orchestrator_address=self.orchestrator.grpc_address,
            nats_url=self.orchestrator.nats_url,
            ebay_api_url=url,
            ebay_media_url=url,
            ebay_auth_url=url,
            ebay_identity_url=url,
            ebay_consent_url=url,
            ebay_client_id=self.seller.client_id,
            ebay_client_secret=self.seller.client_secret,
            ebay_request_timeout_seconds=1.5,
            ebay_settle_seconds=2,
        )
        definition = make_definition(settings)
        async with run_sdk_connector(
            definition, self.orchestrator.grpc_address, self.orchestrator.nats_url, slots=slots
        ) as runtime:
            yield runtime
        for close in definition.closers:
            await close()

    async def connect(self, decision: str = "agree", sites: Sequence[str] = ()) -> job_pb2.Job:
        """Goes through the consent page as a seller's browser does; returns the job that connects, ended."""
        await self.control.set_redirect(RU_NAME, ACCEPT_URL)
        target: dict[str, Any] = (
            {"account_id": self.account_id} if self.account_id else {"marketplace": "ebay"}
        )
        request = account_service_pb2.BeginConnectRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=self.tenant_id,
            redirect_uri=RU_NAME,
            sites=sites,
            **target,
        )
        if not self.account_id:
            request.settings.update(
                {"EBAY_US": {**self.seller.policies["EBAY_US"], "merchantLocationKey": "main"}}
            )
        begun = await self.stubs.accounts.BeginConnect(request)
        self.account_id = begun.account.account_id
        answer = await self.consent(begun.consent_url, decision)
        completed = await self.stubs.accounts.CompleteConnect(
            account_service_pb2.CompleteConnectRequest(
                request_id=str(uuid.uuid4()), tenant_id=self.tenant_id, **answer
            )
        )
        return await self.end_of(completed.job.job_id)

    async def consent(self, consent_url: str, decision: str) -> dict[str, str]:
        """Opens the page, decides, and returns what comes back to the application."""
        async with httpx.AsyncClient() as browser:
            page = await browser.get(consent_url)
            assert page.status_code == 200, page.text
            assert self.seller.username in page.text
            asked = dict(parse_qsl(urlsplit(consent_url).query))
            form = {**asked, "username": self.seller.username, "decision": decision}
            sent = await browser.post(consent_url.partition("?")[0], data=form)
        back = urlsplit(sent.headers["location"])
        assert f"{back.scheme}://{back.netloc}{back.path}" == ACCEPT_URL
        query = {name: values[0] for name, values in parse_qs(back.query).items()}
        return {name: query[name] for name in ("state", "code", "error") if name in query}

    async def submit(self, action: str, site: str = "", **options: Any) -> job_pb2.Job:
        request = job_service_pb2.CreateJobRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=self.tenant_id,
            account_id=self.account_id,
            action=action,
            site=site,
        )
        if options:
            request.options.update(options)
        return (await self.stubs.jobs.CreateJob(request)).job

    async def run(self, action: str, site: str = "", **options: Any) -> job_pb2.Job:
        return await self.end_of((await self.submit(action, site, **options)).job_id)

    async def get_job(self, job_id: str) -> job_pb2.Job:
        request = job_service_pb2.GetJobRequest(tenant_id=self.tenant_id, job_id=job_id)
        return (await self.stubs.jobs.GetJob(request)).job

    async def end_of(self, job_id: str) -> job_pb2.Job:
        request = job_service_pb2.WatchJobRequest(tenant_id=self.tenant_id, job_id=job_id)
        async for _ in self.stubs.jobs.WatchJob(request, timeout=40):
            pass
        return await self.get_job(job_id)

    async def wait_for_wait(self, job_id: str, reason: job_pb2.WaitReason.ValueType) -> job_pb2.Job:
        """Returns the job once it waits for this."""
        for _ in range(200):
            job = await self.get_job(job_id)
            if job.wait_reason == reason:
                return job
            await asyncio.sleep(0.1)
        raise AssertionError(f"the job does not wait: {await self.get_job(job_id)}")

    async def account(self) -> account_pb2.Account:
        request = account_service_pb2.GetAccountRequest(tenant_id=self.tenant_id, account_id=self.account_id)
        return (await self.stubs.accounts.GetAccount(request)).account

    async def listings(self) -> dict[str, listing_pb2.Listing]:
        request = listing_service_pb2.ListListingsRequest(tenant_id=self.tenant_id)
        return {one.remote_id: one for one in (await self.stubs.listings.ListListings(request)).listings}

    async def orders(self) -> dict[str, order_pb2.Order]:
        request = order_service_pb2.ListOrdersRequest(tenant_id=self.tenant_id)
        return {one.remote_id: one for one in (await self.stubs.orders.ListOrders(request)).orders}

    def list_products(self, skus: list[str]) -> dict[str, str]:
        """Puts articles up for sale without the connector; returns the listings by SKU."""
        listings = {}
        with httpx.Client(base_url=self.control.base_url, timeout=10) as http:
            ebay = EbayClient(http, self.seller)
            for sku in skus:
                offer_id = ebay.stage(sku)
                listings[sku] = str(ebay.publish(offer_id).json()["listingId"])
        return listings

    def withdraw(self, sku: str) -> None:
        """The seller ends a listing on eBay's own pages."""
        with httpx.Client(base_url=self.control.base_url, timeout=10) as http:
            ebay = EbayClient(http, self.seller)
            offers = ebay.call("GET", f"{INVENTORY}/offer", params={"sku": sku}).json()["offers"]
            ebay.call("POST", f"{INVENTORY}/offer/{offers[0]['offerId']}/withdraw")
