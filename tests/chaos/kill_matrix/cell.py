"""One run of one cell: a tenant, a seller, a product and connector processes of its own."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

import grpc
import grpc.aio
import httpx
from google.protobuf import json_format, struct_pb2
from PIL import Image
from stoflow.accounts.v1 import account_pb2, account_service_pb2
from stoflow.catalog.v1 import listing_pb2, listing_service_pb2, product_service_pb2
from stoflow.catalog.v1.product_pb2 import ProductContent
from stoflow.jobs.v1 import job_pb2, job_service_pb2

from stoflow_sandbox.marketplaces.control import AsyncSandboxControl, SandboxControlError
from stoflow_sandbox.marketplaces.faults import path_matches
from stoflow_sandbox.processes import ServiceProcess, Supervisor
from tests.chaos.kill_matrix.connectors import record_of, start_connector
from tests.chaos.kill_matrix.judge import EffectRow, Evidence, Harm, Violation
from tests.chaos.kill_matrix.market import Market, Seller
from tests.chaos.kill_matrix.relay import Relay
from tests.chaos.kill_matrix.rows import Request, TaskRow
from tests.chaos.kill_matrix.stage import Stage

HIT_SECONDS = 30.0
END_SECONDS = 60.0
ARCHIVE_SECONDS = 10.0
POLL_SECONDS = 0.02
ARCHIVE_POLL_SECONDS = 0.1
PICTURES = ("red", "green", "blue")


class FaultNotPlacedError(Exception):
    """The machine was too slow: what the fault needs was over before it could be placed. Run it again."""


@dataclass
class CellRun:
    """What a column's play may do.

    Attributes:
        stage: The shared servers.
        market: The marketplace.
        row: The task under test.
        name: Unique; names the seller, the folder, and what the connectors of this cell register as.
        shared_connector: What a connector that other cells use too is registered as; empty starts one for this
            cell alone, which may be killed.
        before_successor: Called when the first connector is out of action; for tests of the matrix itself.
        end_seconds: How long the job gets from the fault to its end.
        has_successor: Whether anybody takes over; for tests of the matrix itself.
    """

    stage: Stage
    market: Market
    row: TaskRow
    name: str
    shared_connector: str = ""
    before_successor: Callable[[CellRun], Awaitable[None]] | None = None
    end_seconds: float = END_SECONDS
    has_successor: bool = True
    violations: list[Violation] = field(default_factory=list)
    relay: Relay = field(init=False)
    seller: Seller = field(init=False)
    tenant_id: int = 0
    sku: str = field(default_factory=lambda: f"SKU{uuid.uuid4().hex[:16]}")
    _account_id: str = ""
    _product_id: str = ""
    _job_id: str = ""
    _fault_time: float = 0.0
    _pictures: list[str] = field(default_factory=lambda: list(PICTURES))
    _wanted: dict[str, Any] = field(default_factory=dict)
    _first: ServiceProcess | None = None

    def __post_init__(self) -> None:
        self.folder = self.stage.folder / self.name
        self.relay = Relay(self.stage.orchestrator.grpc_address)
        self._supervisor = Supervisor(self.folder)

    @property
    def control(self) -> AsyncSandboxControl:
        """The sandbox's control."""
        return self.stage.controls[self.market.name]

    @property
    def records(self) -> list[Path]:
        """Files with the exchanges of this cell's own connectors, as far as their processes lived."""
        return sorted(self.folder.glob("*.exchanges.jsonl"))

    @property
    def first(self) -> ServiceProcess:
        """The connector that the fault befalls."""
        assert self._first is not None, f"{self.name} shares its connector, which others need"
        return self._first

    async def __aenter__(self) -> Self:
        await self.relay.__aenter__()
        try:
            await self._open()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._supervisor.stop_all)
        await self.relay.__aexit__()

    async def _open(self) -> None:
        if not self.shared_connector:
            self._first = await self._start_connector("first", self.relay.address)
        stubs = self.stage.stubs
        self.seller = await self.market.open_seller(self.control, self.name)
        self.tenant_id = await stubs.create_tenant()
        account = account_service_pb2.CreateAccountRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=self.tenant_id,
            marketplace=self.shared_connector or self.name,
            display_name="Account",
            sites=[self.seller.site] if self.seller.site else [],
            settings=json_format.ParseDict(dict(self.seller.settings), struct_pb2.Struct()),
            credentials=account_pb2.OAuthCredentials(refresh_token=self.seller.refresh_token),
        )
        self._account_id = (await stubs.accounts.CreateAccount(account)).account.account_id
        product = product_service_pb2.CreateProductRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=self.tenant_id,
            content=self._product(),
        )
        self._product_id = (await stubs.products.CreateProduct(product)).product.product_id
        for color in self._pictures:
            await stubs.add_image(self.tenant_id, self._product_id, draw(color))
        if self.row.action != "publish":
            await self._prepare()

    def _product(self) -> ProductContent:
        return self.market.product(self.sku, self.shared_connector or self.name)

    async def _prepare(self) -> None:
        """Brings the product live, lets the seller set something at the marketplace, changes the product."""
        await self.submit("publish")
        await self.wait_for_end()
        job = await self.get_job()
        assert job.state == job_pb2.JOB_STATE_COMPLETED, await self._describe()
        if not self.row.change:
            return
        self._wanted |= await self.market.edit_as_seller(self.control, self.seller, self.sku)
        content = self._product()
        content.price.amount_minor += 700
        content.stock_quantity += 2
        paths = ["price", "stock_quantity"]
        if self.row.change == "texts":
            content.title += ", blue"
            paths.append("title")
            self._pictures.append("yellow")
            await self.stage.stubs.add_image(self.tenant_id, self._product_id, draw("yellow"))
        self._wanted |= _wanted(content)
        read = product_service_pb2.GetProductRequest(tenant_id=self.tenant_id, product_id=self._product_id)
        etag = (await self.stage.stubs.products.GetProduct(read)).product.etag
        request = product_service_pb2.UpdateProductRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=self.tenant_id,
            product_id=self._product_id,
            etag=etag,
            content=content,
        )
        request.update_mask.paths.extend(paths)
        await self.stage.stubs.products.UpdateProduct(request)

    # What the columns do.

    async def add_fault(self, kind: str, request: Request | None, **rule: object) -> str:
        """Adds a fault for one of this seller's requests."""
        assert request is not None, (
            f"{self.row.label} has no such request: the table must leave the column out"
        )
        return await self.control.add_fault(
            kind,
            method=request.method,
            path=request.path,
            skip=request.skip,
            seller=self.seller.username,
            **rule,
        )

    async def submit(self, action: str = "") -> str:
        """Submits the row's job, or one of another action; it is the one that is waited for. Returns its id."""
        request = job_service_pb2.CreateJobRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=self.tenant_id,
            account_id=self._account_id,
            product_id=self._product_id,
            site=self.seller.site,
            action=action or self.row.action,
            options=json_format.ParseDict({} if action else dict(self.row.options), struct_pb2.Struct()),
        )
        self._job_id = (await self.stage.stubs.jobs.CreateJob(request)).job.job_id
        return self._job_id

    async def wait_for_hit(self, rule: str) -> None:
        """Waits until the fault has caught its request; that is the fault's time until something worse."""
        try:
            await self.control.wait_for_hit(rule, HIT_SECONDS)
        except SandboxControlError as error:
            raise AssertionError(f"{self.name}: the request never came; {await self._describe()}") from error
        self._fault_time = time.time()

    def set_fault_time(self) -> None:
        """Says that the fault is now."""
        self._fault_time = time.time()

    async def release(self, rule: str) -> None:
        """Lets the held answer go, and waits until the marketplace is through with it."""
        if await self.control.release(rule) != 1:
            raise FaultNotPlacedError("the connector gave up before its answer was released")
        await self.control.requests(rule_id=rule, wait_count=1)

    async def wait_until_granted(self) -> None:
        """Waits until the database says that the task's lease was granted."""
        statement = (
            "SELECT 1 FROM public.live_tasks WHERE job_id = %s AND name = %s AND state = 'RUNNING'"
            " AND item_index IS NOT DISTINCT FROM %s"
        )

        async def granted() -> bool:
            parameters = (self._job_id, self.row.task, self.row.item_index)
            return bool(await self.stage.query(statement, *parameters))

        await self._wait_until(granted, "the lease was not granted", error=FaultNotPlacedError)

    async def wait_until_answer_was_read(self) -> None:
        """Waits until the connector has read the marketplace's answer to the task's request."""
        record = record_of(self.folder, "first")
        request = self.row.request
        assert request is not None, f"{self.row.label} has no request"

        async def read() -> bool:
            lines = record.read_bytes().splitlines() if record.exists() else []
            paths = [
                httpx.URL(entry["url"]).path
                for entry in map(json.loads, lines)
                if entry["method"] == request.method
            ]
            return sum(path_matches(request.path, path) for path in paths) > request.skip

        await self._wait_until(read, "the answer was not read", seconds=3.0, error=FaultNotPlacedError)

    def kill_connector(self) -> None:
        """SIGKILL."""
        self.first.kill()
        self._fault_time = time.time()

    def suspend_connector(self) -> None:
        """SIGSTOP."""
        self.first.suspend()
        self._fault_time = time.time()

    async def start_successor(self) -> None:
        """Starts another connector process, straight at the orchestrator."""
        if self.before_successor is not None:
            await self.before_successor(self)
        if self.has_successor:
            await self._start_connector("successor")

    async def wait_for_end(self) -> None:
        """Waits for the job's end, or as long as it gets."""
        request = job_service_pb2.WatchJobRequest(tenant_id=self.tenant_id, job_id=self._job_id)
        try:
            async for _ in self.stage.stubs.jobs.WatchJob(request, timeout=self.end_seconds):
                pass
        except grpc.aio.AioRpcError as error:
            # What became of the job is judged afterwards, with everything else.
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
        with suppress(AssertionError):
            await self._wait_until(
                self._is_archived,
                "still live",
                seconds=ARCHIVE_SECONDS,
                poll_seconds=ARCHIVE_POLL_SECONDS,
            )

    async def wait_for_late_effect(self) -> None:
        """Waits until the effect that came late has come."""
        found = await self.control.requests(
            seller=self.seller.username, kind="late_effect", wait_count=1, timeout=10
        )
        assert found, f"{self.name}: the late effect never came"

    async def awaken_connector(self) -> None:
        """SIGCONT; then nothing may change any more, neither here nor at the marketplace."""
        before = await self._fingerprint()
        self.first.resume()
        await self._wait_until(self._has_learnt, "the awakened connector never learnt that its lease is gone")
        # Drains: it reports, releases and deregisters what it believes to have.
        await asyncio.to_thread(self.first.stop)
        after = await self._fingerprint()
        for name, value in before.items():
            if after[name] != value:
                text = f"the awakened connector changed {name}: {value} became {after[name]}"
                self.violations.append(Violation(Harm.DUPLICATE, text))

    # What is looked at afterwards.

    async def gather(self, rows: tuple[TaskRow, ...]) -> Evidence:
        """Collects the evidence."""
        request = listing_service_pb2.ListListingsRequest(
            tenant_id=self.tenant_id, product_id=self._product_id
        )
        listings = (await self.stage.stubs.listings.ListListings(request)).listings
        return Evidence(
            job=await self.get_job(),
            live_jobs=await self._count_live_jobs(),
            effects={name: EffectRow(*rest) for name, *rest in await self._effects()},
            listings=tuple(x.remote_id for x in listings if x.state == listing_pb2.LISTING_STATE_LIVE),
            market=await self.market.gather(self.control, self.seller, self.sku, rows),
            pictures=tuple(hashlib.sha256(draw(color)).hexdigest() for color in self._pictures),
            wanted=self._wanted or _wanted(self._product()),
            is_ended=self.row.ends,
        )

    async def recovery_seconds(self) -> float | None:
        """Returns how long it took from the fault to the job's end; None when it has not ended."""
        job = await self.get_job()
        if not job.HasField("finish_time"):
            return None
        return job.finish_time.ToNanoseconds() / 1e9 - self._fault_time

    async def get_job(self, job_id: str = "") -> job_pb2.Job:
        """Returns the job that is waited for, or another, as the public API shows it."""
        request = job_service_pb2.GetJobRequest(tenant_id=self.tenant_id, job_id=job_id or self._job_id)
        return (await self.stage.stubs.jobs.GetJob(request)).job

    async def forget_effects(self) -> None:
        """Makes the ledger believe that nothing was ever sent; for tests of the matrix itself."""
        statement = "UPDATE public.effects SET state = 'NOT_SENT' WHERE tenant_id = %s"
        await self.stage.query(statement, self.tenant_id)

    async def _start_connector(self, name: str, orchestrator_address: str = "") -> ServiceProcess:
        return await start_connector(
            self.stage,
            self.market,
            self._supervisor,
            self.folder,
            name,
            marketplace=self.name,
            orchestrator_address=orchestrator_address,
        )

    async def _fingerprint(self) -> dict[str, Any]:
        request = job_service_pb2.ListJobEventsRequest(
            tenant_id=self.tenant_id, job_id=self._job_id, page_size=1000
        )
        log = await self.control.requests(seller=self.seller.username)
        return {
            "the job": await self.get_job(),
            "its history": list((await self.stage.stubs.jobs.ListJobEvents(request)).events),
            "the ledger of effects": await self._effects(),
            "the marketplace": (await self.control.state(self.seller.username))["sellers"],
            "the requests with effect": [entry["seq"] for entry in log if entry["effect_applied"]],
        }

    async def _has_learnt(self) -> bool:
        log = self.first.log.read_text()
        return "lease_lost" in log or "report_not_accepted" in log

    async def _effects(self) -> list[tuple[Any, ...]]:
        statement = "SELECT name, state, remote_id FROM public.effects WHERE tenant_id = %s ORDER BY name"
        return await self.stage.query(statement, self.tenant_id)

    async def _count_live_jobs(self) -> int:
        statement = "SELECT count(*) FROM public.live_jobs WHERE tenant_id = %s"
        return int((await self.stage.query(statement, self.tenant_id))[0][0])

    async def _is_archived(self) -> bool:
        return await self._count_live_jobs() == 0

    async def _wait_until(
        self,
        condition: Callable[[], Awaitable[bool]],
        otherwise: str,
        *,
        seconds: float = 20.0,
        poll_seconds: float = POLL_SECONDS,
        error: type[Exception] = AssertionError,
    ) -> None:
        deadline = time.monotonic() + seconds
        while not await condition():
            if time.monotonic() > deadline:
                raise error(f"{self.name}: {otherwise}; logs in {self.folder}")
            await asyncio.sleep(poll_seconds)

    async def _describe(self) -> str:
        job = await self.get_job()
        tasks = ", ".join(f"{t.name} {job_pb2.TaskState.Name(t.state)}" for t in job.tasks)
        return f"job {job_pb2.JobState.Name(job.state)}: {tasks}; logs in {self.folder}"


def _wanted(content: ProductContent) -> dict[str, Any]:
    return {
        "title": content.title,
        "price_minor": content.price.amount_minor,
        "quantity": content.stock_quantity,
    }


@cache
def draw(color: str) -> bytes:
    """Returns a small JPEG of the size that eBay asks for at least."""
    buffer = io.BytesIO()
    Image.new("RGB", (520, 500), color).save(buffer, "JPEG")
    return buffer.getvalue()
