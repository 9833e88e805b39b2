"""A real orchestrator, a Vinted sandbox, connector replicas, and sellers with scripted browsers."""

from __future__ import annotations

import asyncio
import io
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from stoflow.accounts.v1 import account_pb2, account_service_pb2, pairing_pb2
from stoflow.catalog.v1 import mapping_pb2, product_pb2, reference_pb2, reference_service_pb2
from stoflow.common.v1 import money_pb2
from stoflow.jobs.v1 import job_pb2, job_service_pb2

from stoflow_sandbox.browser.memory import RequestMemory
from stoflow_sandbox.browser.scripted_browser import SCRIPTED_ORIGIN, BrowserSettings, ScriptedBrowser
from stoflow_sandbox.marketplaces.vinted.control import AsyncVintedSandboxControl
from stoflow_sandbox.processes import ServiceProcess, Supervisor
from tests.support.orchestrator import OrchestratorProcess, Stubs

LEASE_SECONDS = 5.0
CALL_TIMEOUT_SECONDS = 1.5
SETTLE_SECONDS = 3.0
ORCHESTRATOR_SETTINGS = {
    "LEASE_SECONDS": f"{LEASE_SECONDS:g}",
    "DISPATCH_TIMEOUT_SECONDS": "1",
    "RETRY_BASE_SECONDS": "0.05",
    "RETRY_CAP_SECONDS": "0.2",
}
BAGS = "156"
DRESSES = "10"
END_SECONDS = 45.0


@dataclass
class Replica:
    """One connector process."""

    process: ServiceProcess
    gateway_url: str


@dataclass
class Stage:
    """The servers."""

    folder: Path
    supervisor: Supervisor
    orchestrator: OrchestratorProcess
    stubs: Stubs
    control: AsyncVintedSandboxControl
    count: int = 0
    # Of every replica, beside or in place of the usual ones.
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def image_origin(self) -> str:
        return f"http://{self.orchestrator.http_address}"

    async def start_replica(self, marketplace: str, **settings: str) -> Replica:
        """Starts a connector and waits until its gateway listens."""
        self.count += 1
        environment = {
            "MARKETPLACE": marketplace,
            "ORCHESTRATOR_ADDRESS": self.orchestrator.grpc_address,
            "NATS_URL": self.orchestrator.nats_url,
            "SLOTS": "300",
            "VINTED_SITE_URL": self.control.base_url,
            "VINTED_ALLOWED_ORIGINS": SCRIPTED_ORIGIN,
            "VINTED_PACE_SECONDS": "0",
            "VINTED_CALL_TIMEOUT_SECONDS": f"{CALL_TIMEOUT_SECONDS:g}",
            "VINTED_SETTLE_SECONDS": f"{SETTLE_SECONDS:g}",
            **self.settings,
            **settings,
        }
        command = [sys.executable, "-m", "stoflow_connector_vinted"]
        process = self.supervisor.start(f"vinted-{self.count}", command, environment)
        ready = await asyncio.to_thread(process.wait_ready)
        return Replica(process, f"ws://{ready['gateway_address']}/browser")

    async def open_seller(self, marketplace: str, **member: Any) -> Seller:
        """Makes a tenant with an account, and a member of the site with a name of its own."""
        login = f"s{uuid.uuid4().hex[:10]}"
        seeded = await self.control.seed_member(login, **member)
        tenant_id = await self.stubs.create_tenant()
        request = account_service_pb2.CreateAccountRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=tenant_id,
            marketplace=marketplace,
            display_name="My wardrobe",
        )
        request.settings.update({"packageSizeId": 1})
        account_id = (await self.stubs.accounts.CreateAccount(request)).account.account_id
        return Seller(self, marketplace, tenant_id, account_id, login, seeded.password)

    async def map_bags(self, marketplace: str) -> None:
        """Says which catalogue of the site our bags are."""
        await self._map(marketplace, "accessories/bags", BAGS)

    async def map_dresses(self, marketplace: str) -> None:
        """The same of dresses, which the site wants a size of."""
        await self._map(marketplace, "clothing/women/dresses", DRESSES)

    async def _map(self, marketplace: str, category: str, value: str) -> None:
        key = mapping_pb2.MappingKey(attribute=reference_pb2.REFERENCE_ATTRIBUTE_CATEGORY, key=category)
        request = reference_service_pb2.ImportMappingsRequest(
            request_id=str(uuid.uuid4()),
            marketplace=marketplace,
            mappings=[reference_service_pb2.ImportMappingsRequest.Entry(key=key, value=value)],
        )
        await self.stubs.reference.ImportMappings(request)


@dataclass
class Seller:
    """One seller with browsers, which are closed at the end."""

    stage: Stage
    marketplace: str
    tenant_id: int
    account_id: str
    login: str
    password: str
    browsers: list[ScriptedBrowser] = field(default_factory=list)
    running: dict[ScriptedBrowser, asyncio.Task[None]] = field(default_factory=dict)

    async def new_code(self) -> str:
        request = pairing_pb2.CreatePairingCodeRequest(
            request_id=str(uuid.uuid4()), tenant_id=self.tenant_id, account_id=self.account_id
        )
        return (await self.stage.stubs.accounts.CreatePairingCode(request)).code

    async def pair_browser(self, replica: Replica) -> ScriptedBrowser:
        """Pairs a browser and signs it in; it is not connected yet."""
        settings = BrowserSettings(
            replica.gateway_url,
            str(uuid.uuid4()),
            image_origins=frozenset({self.stage.image_origin}),
            ping_seconds=5.0,
            least_reconnect_seconds=0.1,
            most_reconnect_seconds=0.5,
        )
        browser = ScriptedBrowser(settings)
        await browser.pair(await self.new_code())
        await browser.open_tab(self.stage.control.base_url, self.login, self.password)
        self.browsers.append(browser)
        return browser

    def connect(self, browser: ScriptedBrowser) -> None:
        self.running[browser] = asyncio.create_task(browser.run())

    async def open_browser(self, replica: Replica, role: str = "ACTIVE") -> ScriptedBrowser:
        """Pairs and connects a browser, and waits for its role."""
        browser = await self.pair_browser(replica)
        self.connect(browser)
        await wait_until(lambda: browser.role == role)
        return browser

    async def crash_browser(self, browser: ScriptedBrowser) -> None:
        """Ends a browser without a word; its memory stays."""
        task = self.running.pop(browser)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def move_browser(self, browser: ScriptedBrowser, replica: Replica) -> ScriptedBrowser:
        """Makes the same browser, with its memory, connect to another replica, as behind a load balancer."""
        await self.crash_browser(browser)
        old = browser.settings
        settings = BrowserSettings(
            replica.gateway_url,
            old.client_id,
            image_origins=old.image_origins,
            ping_seconds=old.ping_seconds,
            least_reconnect_seconds=0.1,
            most_reconnect_seconds=0.5,
        )
        memory: RequestMemory = browser.executor._memory
        moved = ScriptedBrowser(settings, browser.token, memory)
        moved.executor.tab = browser.executor.tab
        browser.executor.tab = None
        self.browsers.append(moved)
        self.connect(moved)
        return moved

    async def close(self) -> None:
        for task in self.running.values():
            task.cancel()
        await asyncio.gather(*self.running.values(), return_exceptions=True)
        for browser in self.browsers:
            await browser.close()

    async def create_product(self, pictures: int = 2, **content: Any) -> str:
        values: dict[str, Any] = {
            "title": f"Leather bag {uuid.uuid4().hex[:8]}",
            "price": money_pb2.Money(currency_code="EUR", amount_minor=3950),
            "category": "accessories/bags",
            "condition": product_pb2.CONDITION_VERY_GOOD,
            **content,
        }
        images = tuple(draw_picture(number) for number in range(pictures))
        return await self.stage.stubs.create_product(self.tenant_id, images, **values)

    async def submit(self, action: str, product_id: str = "", **values: Any) -> str:
        request = job_service_pb2.CreateJobRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=self.tenant_id,
            account_id=self.account_id,
            product_id=product_id,
            action=action,
            **values,
        )
        return (await self.stage.stubs.jobs.CreateJob(request)).job.job_id

    async def job(self, job_id: str) -> job_pb2.Job:
        request = job_service_pb2.GetJobRequest(tenant_id=self.tenant_id, job_id=job_id)
        return (await self.stage.stubs.jobs.GetJob(request)).job

    async def run(self, action: str, product_id: str = "", **values: Any) -> job_pb2.Job:
        """Runs a job to its end, which must be COMPLETED."""
        return await self.completed(await self.submit(action, product_id, **values))

    async def completed(self, job_id: str, seconds: float = END_SECONDS) -> job_pb2.Job:
        job = await self.wait_for(job_id, lambda job: bool(job.HasField("finish_time")), seconds)
        assert job.state == job_pb2.JOB_STATE_COMPLETED, job
        return job

    async def waits(self, job_id: str, reason: job_pb2.WaitReason.ValueType) -> job_pb2.Job:
        return await self.wait_for(job_id, lambda job: job.wait_reason == reason)

    async def wait_for(
        self, job_id: str, condition: Callable[[job_pb2.Job], bool], seconds: float = END_SECONDS
    ) -> job_pb2.Job:
        deadline = asyncio.get_running_loop().time() + seconds
        while not condition(job := await self.job(job_id)):
            assert asyncio.get_running_loop().time() < deadline, job
            await asyncio.sleep(0.05)
        return job

    async def account(self) -> account_pb2.Account:
        request = account_service_pb2.GetAccountRequest(tenant_id=self.tenant_id, account_id=self.account_id)
        return (await self.stage.stubs.accounts.GetAccount(request)).account

    async def wardrobe(self) -> dict[str, Any]:
        return await self.stage.control.wardrobe(self.login)


def draw_picture(number: int) -> bytes:
    """Returns a picture that no other number has."""
    file = io.BytesIO()
    Image.new("RGB", (640, 640), (40 * number, 90, 160)).save(file, "JPEG")
    return file.getvalue()


async def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)
