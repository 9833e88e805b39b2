"""One run of one cell: a seller with listings and orders at eBay, a job that reads them, a connector that is killed."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
import grpc.aio
import httpx
from google.protobuf import json_format, struct_pb2
from stoflow.accounts.v1 import account_pb2, account_service_pb2
from stoflow.catalog.v1 import listing_pb2, listing_service_pb2, order_pb2, order_service_pb2
from stoflow.jobs.v1 import job_pb2, job_service_pb2

from stoflow_sandbox.marketplaces.control import AsyncSandboxControl, SeededSeller
from stoflow_sandbox.processes import ServiceProcess, Supervisor
from tests.chaos.kill_matrix.connectors import start_connector
from tests.chaos.kill_matrix.ebay import CLIENT_ID, CLIENT_SECRET, SITE, EbayMarket
from tests.chaos.kill_matrix.relay import Relay
from tests.chaos.kill_matrix.stage import Stage
from tests.chaos.reading.table import ReadingRow
from tests.integration.sandbox_ebay.ebay_client import INVENTORY, EbayClient

MARKET = EbayMarket()
# Above one page of the connector's, so that there is a second one.
ORDERS = ITEMS = 103
LISTINGS = 4
HIT_SECONDS = 60.0
END_SECONDS = 90.0
RU_NAME = "https://app.test/ebay"


@dataclass
class ReadingRun:
    """What a column's play may do.

    Attributes:
        stage: The shared servers.
        row: The task under test.
        name: Unique; names the seller, the folder, and what the connectors register as.
    """

    stage: Stage
    row: ReadingRow
    name: str
    seller: SeededSeller = field(init=False)
    relay: Relay = field(init=False)
    listed: dict[str, str] = field(default_factory=dict)
    ordered: dict[str, int] = field(default_factory=dict)
    job_id: str = ""
    tenant_id: int = 0
    account_id: str = ""
    _first: ServiceProcess | None = None

    def __post_init__(self) -> None:
        self.folder = self.stage.folder / self.name
        self.relay = Relay(self.stage.orchestrator.grpc_address)
        self._supervisor = Supervisor(self.folder)

    @property
    def control(self) -> AsyncSandboxControl:
        return self.stage.controls[MARKET.name]

    @property
    def first(self) -> ServiceProcess:
        assert self._first is not None
        return self._first

    async def __aenter__(self) -> Self:
        await self.relay.__aenter__()
        try:
            self._first = await self._start("first", self.relay.address)
            self.seller = await self.control.seed_seller(
                self.name, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, marketplaces=[SITE]
            )
            self.tenant_id = await self.stage.stubs.create_tenant()
            if self.row.action != "connect":
                await self._create_account()
                await asyncio.to_thread(self._list_products)
            if self.row.action == "sync_orders":
                await self._sell()
            if self.row.task == "confirm_listings":
                await self._know_and_end_one()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._supervisor.stop_all)
        await self.relay.__aexit__()

    async def _create_account(self) -> None:
        settings = {SITE: {**self.seller.policies[SITE], "merchantLocationKey": "main"}}
        request = account_service_pb2.CreateAccountRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=self.tenant_id,
            marketplace=self.name,
            display_name="Account",
            sites=[SITE],
            settings=json_format.ParseDict(settings, struct_pb2.Struct()),
            credentials=account_pb2.OAuthCredentials(refresh_token=self.seller.refresh_token),
        )
        self.account_id = (await self.stage.stubs.accounts.CreateAccount(request)).account.account_id

    def _list_products(self) -> None:
        with httpx.Client(base_url=self.control.base_url, timeout=30) as http:
            ebay = EbayClient(http, self.seller)
            item = ebay.item_body()
            item["availability"]["shipToLocationAvailability"]["quantity"] = ORDERS + 1
            wanted = ITEMS if self.row.action == "sync_listings" else LISTINGS
            for number in range(wanted):
                assert ebay.put_item(f"SKU{number}", item).is_success
            for number in range(LISTINGS):
                sku = f"SKU{number}"
                body = ebay.offer_body(sku) | {"availableQuantity": ORDERS + 1}
                offer_id = ebay.call("POST", f"{INVENTORY}/offer", body).json()["offerId"]
                self.listed[sku] = str(ebay.publish(offer_id).json()["listingId"])

    async def _sell(self) -> None:
        listing_id = self.listed["SKU0"]
        for number in range(ORDERS):
            order = await self.control.place_order(self.name, listing_id)
            state = order_pb2.ORDER_STATE_PAID
            if number % 40 == 7:
                await self.control.change_order(self.name, order["orderId"], cancellation="COMPLETED")
                state = order_pb2.ORDER_STATE_CANCELLED
            self.ordered[order["orderId"]] = state

    async def _know_and_end_one(self) -> None:
        await self.submit()
        assert (await self.end()).state == job_pb2.JOB_STATE_COMPLETED
        with httpx.Client(base_url=self.control.base_url, timeout=30) as http:
            ebay = EbayClient(http, self.seller)
            assert ebay.call("DELETE", f"{INVENTORY}/inventory_item/SKU1").is_success
        del self.listed["SKU1"]

    async def _start(self, name: str, address: str = "") -> ServiceProcess:
        return await start_connector(
            self.stage,
            MARKET,
            self._supervisor,
            self.folder,
            name,
            marketplace=self.name,
            orchestrator_address=address,
        )

    # What the columns do.

    async def add_fault(self, kind: str, **rule: Any) -> str:
        fields: Mapping[str, Any] = {
            "method": self.row.method,
            "path": self.row.path,
            "skip": self.row.skip,
            **({"sku": self.row.sku} if self.row.sku else {}),
        }
        # The exchange of a code names no seller; the cells that make one run one after the other.
        who = (
            {"body_contains": "authorization_code"} if self.row.action == "connect" else {"seller": self.name}
        )
        return await self.control.add_fault(kind, **{**fields, **who, **rule})

    async def submit(self) -> None:
        """Submits the row's job."""
        if self.row.action == "connect":
            await self._begin_connection()
            return
        request = job_service_pb2.CreateJobRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=self.tenant_id,
            account_id=self.account_id,
            site=SITE,
            action=self.row.action,
        )
        self.job_id = (await self.stage.stubs.jobs.CreateJob(request)).job.job_id

    async def _begin_connection(self) -> None:
        target: dict[str, Any] = (
            {"account_id": self.account_id} if self.account_id else {"marketplace": self.name}
        )
        request = account_service_pb2.BeginConnectRequest(
            request_id=str(uuid.uuid4()), tenant_id=self.tenant_id, redirect_uri=RU_NAME, **target
        )
        if not self.account_id:
            settings = {SITE: {**self.seller.policies[SITE], "merchantLocationKey": "main"}}
            request.settings.update(settings)
        begun = await self.stage.stubs.accounts.BeginConnect(request)
        self.account_id = begun.account.account_id
        complete = account_service_pb2.CompleteConnectRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=self.tenant_id,
            state=begun.state,
            code=await self.control.make_authorization_code(self.name),
        )
        self.job_id = (await self.stage.stubs.accounts.CompleteConnect(complete)).job.job_id

    async def wait_for_hit(self, rule: str) -> None:
        await self.control.wait_for_hit(rule, HIT_SECONDS)

    async def release(self, rule: str) -> None:
        """Lets the held answer go, and waits until eBay is through with it."""
        await self.control.release(rule)
        await self.control.requests(rule_id=rule, wait_count=1)

    async def take_over(self) -> None:
        """Starts another connector process, straight at the orchestrator."""
        await self._start("successor")

    async def end(self) -> job_pb2.Job:
        """Waits for the job's end and its archiving."""
        watch = job_service_pb2.WatchJobRequest(tenant_id=self.tenant_id, job_id=self.job_id)
        async for _ in self.stage.stubs.jobs.WatchJob(watch, timeout=END_SECONDS):
            pass
        statement = "SELECT 1 FROM public.live_jobs WHERE tenant_id = %s"

        async def archived() -> bool:
            return not await self.stage.query(statement, self.tenant_id)

        await wait_until(archived, f"{self.name}: a job is left in the live tables")
        return await self.job()

    async def job(self) -> job_pb2.Job:
        request = job_service_pb2.GetJobRequest(tenant_id=self.tenant_id, job_id=self.job_id)
        return (await self.stage.stubs.jobs.GetJob(request)).job

    # What is looked at afterwards.

    async def listings(self) -> dict[str, int]:
        """Returns the states of the catalogue's listings by remote id."""
        request = listing_service_pb2.ListListingsRequest(tenant_id=self.tenant_id, page_size=1000)
        found = (await self.stage.stubs.listings.ListListings(request)).listings
        return {one.remote_id: one.state for one in found}

    async def orders(self) -> dict[str, int]:
        """Returns the states of the catalogue's orders by remote id."""
        request = order_service_pb2.ListOrdersRequest(tenant_id=self.tenant_id, page_size=1000)
        found = (await self.stage.stubs.orders.ListOrders(request)).orders
        return {one.remote_id: one.state for one in found}

    async def account_state(self) -> account_pb2.AccountState.ValueType:
        """Returns where the account stands; a new one whose connection failed is gone."""
        request = account_service_pb2.GetAccountRequest(tenant_id=self.tenant_id, account_id=self.account_id)
        try:
            return (await self.stage.stubs.accounts.GetAccount(request)).account.state
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            self.account_id = ""
            return account_pb2.ACCOUNT_STATE_UNSPECIFIED

    async def require_truth(self) -> None:
        """Fails unless the catalogue says what eBay does: nothing missing, nothing called over that is not."""
        if self.row.action == "sync_orders":
            assert await self.orders() == self.ordered
        elif self.row.action == "sync_listings":
            states = await self.listings()
            live = {key for key, state in states.items() if state == listing_pb2.LISTING_STATE_LIVE}
            assert live == set(self.listed.values())
            # Whatever was known and is not live any more was ended, and nothing else.
            assert len(states) == LISTINGS
        else:
            assert await self.account_state() == account_pb2.ACCOUNT_STATE_CONNECTED


async def wait_until(condition: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    deadline = time.monotonic() + 30
    while not await condition():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(0.05)
