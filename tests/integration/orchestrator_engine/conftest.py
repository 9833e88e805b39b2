"""One orchestrator for the module; each test has a marketplace of its own, so none receives another's commands."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from google.protobuf import struct_pb2
from stoflow.connector.v1 import manifest_pb2
from stoflow.jobs.v1 import job_pb2, job_service_pb2

from stoflow_sandbox.processes import Supervisor
from stoflow_sandbox.servers import NatsServer, PostgresServer
from tests.integration.orchestrator_engine.connector import Connector, manifest
from tests.support.orchestrator import OrchestratorProcess, Stubs, start_orchestrator


@pytest.fixture(scope="module")
def engine_settings() -> dict[str, str]:
    """What a module wants of its orchestrator's environment."""
    return {}


@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A NATS of the module's own: an orchestrator that outlives a test keeps its streams."""
    with NatsServer(tmp_path_factory.mktemp("nats") / "store") as server:
        yield server


@pytest.fixture(scope="module")
def orchestrator(
    postgres_server: PostgresServer,
    nats_server: NatsServer,
    tmp_path_factory: pytest.TempPathFactory,
    engine_settings: dict[str, str],
) -> Iterator[OrchestratorProcess]:
    folder = tmp_path_factory.mktemp("engine")
    url = postgres_server.create_database(f"engine_{uuid.uuid4().hex}")
    with Supervisor(folder / "services") as supervisor:
        yield start_orchestrator(supervisor, url, nats_server.url, folder, **engine_settings)


@dataclass
class Shop:
    """A tenant with an account at a marketplace of its own, and a connector for it."""

    orchestrator: OrchestratorProcess
    stubs: Stubs
    marketplace: str = field(default_factory=lambda: f"m{uuid.uuid4().hex[:12]}")
    tenant_id: int = 0
    account_id: str = ""
    connectors: list[Connector] = field(default_factory=list)

    async def open(self, *steps: manifest_pb2.TaskSpec, slots: int = 4, **action: object) -> Connector:
        connector = await self.add_connector(manifest(self.marketplace, *steps, **action), slots)
        self.tenant_id = await self.stubs.create_tenant()
        self.account_id = await self.stubs.create_account(self.tenant_id, self.marketplace)
        return connector

    async def add_connector(
        self, content: manifest_pb2.Manifest, slots: int = 4, supported_versions: tuple[str, ...] = ()
    ) -> Connector:
        connector = Connector(self.stubs, self.orchestrator.nats_url, content, slots, supported_versions)
        self.connectors.append(connector)
        await connector.register()
        return connector

    async def create_job(self, product_id: str = "", **values: Any) -> job_pb2.Job:
        return (await self.stubs.jobs.CreateJob(self.job_request(product_id, **values))).job

    def job_request(self, product_id: str = "", **values: Any) -> job_service_pb2.CreateJobRequest:
        fields: dict[str, object] = {
            "request_id": str(uuid.uuid4()),
            "tenant_id": self.tenant_id,
            "account_id": self.account_id,
            "product_id": product_id,
            "action": "publish",
            **values,
        }
        return job_service_pb2.CreateJobRequest(**fields)  # type: ignore[arg-type]

    async def get_job(self, job_id: str) -> job_pb2.Job:
        request = job_service_pb2.GetJobRequest(tenant_id=self.tenant_id, job_id=job_id)
        return (await self.stubs.jobs.GetJob(request)).job

    async def wait_for_end(self, job_id: str) -> job_pb2.Job:
        request = job_service_pb2.WatchJobRequest(tenant_id=self.tenant_id, job_id=job_id)
        async for _ in self.stubs.jobs.WatchJob(request, timeout=20):
            pass
        return await self.get_job(job_id)

    async def events(self, job_id: str) -> list[str]:
        request = job_service_pb2.ListJobEventsRequest(
            tenant_id=self.tenant_id, job_id=job_id, page_size=1000
        )
        response = await self.stubs.jobs.ListJobEvents(request)
        return [job_pb2.JobEventType.Name(e.type).removeprefix("JOB_EVENT_TYPE_") for e in response.events]

    async def wait_until_archived(self, job_id: str) -> None:
        for _ in range(100):
            if not await self.query("SELECT 1 FROM public.live_jobs WHERE job_id = %s", job_id):
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail(f"job {job_id} is still live")
        table = f"user_{self.tenant_id}.marketplace_jobs"
        assert await self.query(f"SELECT 1 FROM {table} WHERE job_id = %s", job_id)

    async def query(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        async with await psycopg.AsyncConnection.connect(self.orchestrator.database_url) as connection:
            cursor = await connection.execute(statement, parameters)
            return await cursor.fetchall()


@pytest.fixture
async def shop(orchestrator: OrchestratorProcess) -> AsyncIterator[Shop]:
    stubs = Stubs(orchestrator.grpc_address)
    opened = Shop(orchestrator, stubs)
    yield opened
    for connector in opened.connectors:
        await connector.close()
    await stubs.close()


def options(**values: Any) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct
