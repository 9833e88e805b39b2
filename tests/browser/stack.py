"""The real services and the sandbox site as processes, and a seller whose account is on Vinted."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import struct_pb2
from stoflow.accounts.v1.account_service_pb2 import CreateAccountRequest
from stoflow.accounts.v1.pairing_pb2 import CreatePairingCodeRequest
from stoflow.catalog.v1.mapping_pb2 import MappingKey
from stoflow.catalog.v1.reference_pb2 import (
    REFERENCE_ATTRIBUTE_CATEGORY,
    REFERENCE_ATTRIBUTE_COLOR,
    REFERENCE_ATTRIBUTE_SIZE,
)
from stoflow.catalog.v1.reference_service_pb2 import ImportMappingsRequest
from stoflow.common.v1.money_pb2 import Money
from stoflow.jobs.v1.job_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_COMPLETED,
    JOB_STATE_EXPIRED,
    JOB_STATE_FAILED,
    Job,
    WaitReason,
)
from stoflow.jobs.v1.job_service_pb2 import CreateJobRequest, GetJobRequest

from stoflow_sandbox.marketplaces.vinted.control import SeededMember, VintedSandboxControl
from stoflow_sandbox.processes import ServiceProcess, Supervisor
from stoflow_sandbox.servers import NatsServer
from tests.support.orchestrator import OrchestratorProcess, Stubs, start_orchestrator

EXTENSION_ORIGIN = "chrome-extension://egpclaibieaclpafbfkebkmpefdoaaii"
POLL_SECONDS = 0.2
JOB_SECONDS = 60.0
ENDED = {JOB_STATE_FAILED, JOB_STATE_EXPIRED, JOB_STATE_CANCELLED}
MAPPINGS = {
    (REFERENCE_ATTRIBUTE_CATEGORY, "clothing/men/shirts"): "536",
    (REFERENCE_ATTRIBUTE_SIZE, "m"): "208",
    (REFERENCE_ATTRIBUTE_COLOR, "blue"): "9",
}


@dataclass(frozen=True)
class Stack:
    """Where everything answers."""

    orchestrator: OrchestratorProcess
    connector: ServiceProcess
    site_url: str
    gateway_url: str

    @property
    def images_origin(self) -> str:
        return f"http://{self.orchestrator.http_address}"


@contextmanager
def running_stack(folder: Path, database_url: str, site_url: str) -> Iterator[Stack]:
    """Starts NATS, orchestrator and connector; they end with the context."""
    with NatsServer(folder / "nats" / "store") as nats, Supervisor(folder / "services") as supervisor:
        orchestrator = start_orchestrator(
            supervisor, database_url, nats.url, folder, LEASE_SECONDS="12", DISPATCH_TIMEOUT_SECONDS="2"
        )
        environment = {
            "ORCHESTRATOR_ADDRESS": orchestrator.grpc_address,
            "NATS_URL": nats.url,
            "VINTED_SITE_URL": site_url,
            "VINTED_ALLOWED_ORIGINS": EXTENSION_ORIGIN,
            "VINTED_PACE_SECONDS": "0",
            "VINTED_CALL_TIMEOUT_SECONDS": "5",
            "VINTED_SETTLE_SECONDS": "2",
        }
        connector = supervisor.start(
            "vinted", [sys.executable, "-m", "stoflow_connector_vinted"], environment
        )
        gateway = connector.wait_ready(60)["gateway_address"]
        yield Stack(orchestrator, connector, site_url, f"ws://{gateway}/browser")


class Shop:
    """One tenant with one Vinted account, and one member of the site."""

    def __init__(self, stubs: Stubs, control: VintedSandboxControl, member: SeededMember) -> None:
        self.stubs = stubs
        self.control = control
        self.member = member
        self.tenant_id = 0
        self.account_id = ""

    async def open(self) -> None:
        """Makes tenant, mappings and account; no browser is paired yet."""
        entries = [
            ImportMappingsRequest.Entry(key=MappingKey(attribute=attribute, key=key), value=value)
            for (attribute, key), value in MAPPINGS.items()
        ]
        await self.stubs.reference.ImportMappings(
            ImportMappingsRequest(request_id=str(uuid.uuid4()), marketplace="vinted", mappings=entries)
        )
        self.tenant_id = await self.stubs.create_tenant()
        settings = struct_pb2.Struct()
        settings.update({"packageSizeId": 1})
        account = await self.stubs.accounts.CreateAccount(
            CreateAccountRequest(
                request_id=str(uuid.uuid4()),
                tenant_id=self.tenant_id,
                marketplace="vinted",
                display_name="My wardrobe",
                settings=settings,
            )
        )
        self.account_id = account.account.account_id

    async def pairing_code(self) -> str:
        request = CreatePairingCodeRequest(
            request_id=str(uuid.uuid4()), tenant_id=self.tenant_id, account_id=self.account_id
        )
        return (await self.stubs.accounts.CreatePairingCode(request)).code

    async def product(self, *images: bytes, title: str = "Blue linen shirt") -> str:
        return await self.stubs.create_product(
            self.tenant_id,
            images,
            title=title,
            description="Worn twice, no marks.",
            price=Money(currency_code="EUR", amount_minor=2500),
            category="clothing/men/shirts",
            size="m",
            colors=["blue"],
        )

    async def submit(self, action: str, product_id: str) -> str:
        request = CreateJobRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=self.tenant_id,
            account_id=self.account_id,
            product_id=product_id,
            action=action,
        )
        return (await self.stubs.jobs.CreateJob(request)).job.job_id

    async def job(self, job_id: str) -> Job:
        return (await self.stubs.jobs.GetJob(GetJobRequest(tenant_id=self.tenant_id, job_id=job_id))).job

    async def wait_completed(self, job_id: str) -> Job:
        return await self._wait(job_id, lambda job: job.state == JOB_STATE_COMPLETED, "completed")

    async def wait_waiting(self, job_id: str, reason: WaitReason.ValueType) -> Job:
        return await self._wait(job_id, lambda job: job.wait_reason == reason, WaitReason.Name(reason))

    async def _wait(self, job_id: str, is_done: Any, wanted: str) -> Job:
        deadline = time.monotonic() + JOB_SECONDS
        while True:
            job = await self.job(job_id)
            if is_done(job):
                return job
            assert job.state not in ENDED, f"wanted {wanted}, is {job}"
            assert time.monotonic() < deadline, f"wanted {wanted}, is {job}"
            await asyncio.sleep(POLL_SECONDS)

    @property
    def wardrobe(self) -> dict[str, Any]:
        return self.control.wardrobe(self.member.login)

    @property
    def created(self) -> dict[str, int]:
        created: dict[str, int] = self.wardrobe["created"]["items"]
        return created
