"""What a person does to a job, and how a job comes to stand where it is done."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import task_pb2
from stoflow.jobs.v1 import job_pb2, job_service_pb2

from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector

CALLS = {
    "cancel": ("CancelJob", job_service_pb2.CancelJobRequest),
    "pause": ("PauseJob", job_service_pb2.PauseJobRequest),
    "resume": ("ResumeJob", job_service_pb2.ResumeJobRequest),
    "retry": ("RetryJob", job_service_pb2.RetryJobRequest),
}
TERMINAL_EVENTS = {"COMPLETED", "FAILED", "CANCELLED", "EXPIRED"}

Lease = tuple[task_pb2.TaskCommand, str]


def request(shop: Shop, call: str, job_id: str, request_id: str = "") -> Any:
    """Builds the request of a call."""
    return CALLS[call][1](request_id=request_id or str(uuid.uuid4()), tenant_id=shop.tenant_id, job_id=job_id)


async def control(shop: Shop, call: str, job_id: str, request_id: str = "") -> job_pb2.Job:
    """Cancels, pauses, resumes or retries a job."""
    method = getattr(shop.stubs.jobs, CALLS[call][0])
    job: job_pb2.Job = (await method(request(shop, call, job_id, request_id))).job
    return job


async def outcome(shop: Shop, call: str, job_id: str, request_id: str = "") -> str:
    """Tries a call; returns the job's state afterwards, or the reason why it was refused."""
    try:
        return state_of(await control(shop, call, job_id, request_id))
    except grpc.aio.AioRpcError as error:
        return reason_of(error)


def state_of(job: job_pb2.Job) -> str:
    """Returns the short name of a job's state."""
    return job_pb2.JobState.Name(job.state).removeprefix("JOB_STATE_")


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Returns the one reason of an error."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    infos = [detail for detail in status.details if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    assert len(infos) == 1
    info = error_details_pb2.ErrorInfo()
    infos[0].Unpack(info)
    return f"{error.code().name} {info.reason}"


async def eventually(
    condition: Callable[[], Awaitable[bool]], what: str, timeout_seconds: float = 15
) -> None:
    """Waits until something is so that no call announces."""
    try:
        async with asyncio.timeout(timeout_seconds):
            while not await condition():  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"it never happened: {what}") from None


async def is_archived(shop: Shop, job_id: str) -> bool:
    """Tells whether a job has moved to its tenant's history."""
    table = f"user_{shop.tenant_id}.marketplace_jobs"
    return bool(await shop.query(f"SELECT 1 FROM {table} WHERE job_id = %s", job_id))


async def wait_until_archived(shop: Shop, job_id: str) -> None:
    """Waits for the archiver."""
    await eventually(lambda: is_archived(shop, job_id), f"job {job_id} is archived")


async def expire_now(shop: Shop, job_id: str) -> None:
    """Lets a live job's time run out and waits until the reaper has seen it; another run has a minute."""
    await shop.query(
        "UPDATE public.live_jobs SET queue_time = queue_time - interval '60 s',"
        " next_time = next_time - interval '60 s', expire_time = now() WHERE job_id = %s RETURNING 1",
        job_id,
    )

    async def has_expired() -> bool:
        return state_of(await shop.get_job(job_id)) == "EXPIRED"

    await eventually(has_expired, f"job {job_id} expires")


class Scene:
    """Brings jobs to where a test wants them."""

    def __init__(self, shop: Shop, connector: Connector) -> None:
        self.shop = shop
        self.connector = connector

    async def new(self, **values: Any) -> str:
        """Creates a job on a product of its own."""
        # A long scene outlives the connector's registration.
        await self.connector.heartbeat()
        product_id = await self.shop.stubs.create_product(self.shop.tenant_id)
        return (await self.shop.create_job(product_id, **values)).job_id

    async def delayed(self) -> str:
        """A job that may not start yet."""
        later = Timestamp()
        later.GetCurrentTime()
        later.seconds += 3600
        return await self.new(not_before_time=later)

    async def dispatched(self) -> str:
        """A job whose command was published and not answered."""
        job_id = await self.new()
        command = await self.connector.receive()
        assert command.job_id == job_id
        return job_id

    async def leased(self) -> tuple[str, Lease]:
        """A job of which an attempt runs."""
        job_id = await self.new()
        command, granted = await self.connector.receive_and_start()
        assert command.job_id == job_id
        return job_id, (command, granted.lease_token)

    async def waiting(self) -> str:
        """A job that waits after a rate limit."""
        job_id, lease = await self.leased()
        await self.connector.fail(
            *lease, error_class=failure_pb2.ERROR_CLASS_RATE_LIMITED, retry_after_seconds=3600
        )
        return job_id

    async def completed(self) -> str:
        """A job that completed and was archived."""
        job_id, lease = await self.leased()
        await self.connector.succeed(*lease)
        await wait_until_archived(self.shop, job_id)
        return job_id

    async def failed(self) -> str:
        """A job that failed for good and was archived."""
        job_id, lease = await self.leased()
        await self.connector.fail(*lease, error_class=failure_pb2.ERROR_CLASS_PERMANENT)
        await wait_until_archived(self.shop, job_id)
        return job_id

    async def paused(self) -> str:
        """A job that was paused before it was started."""
        job_id = await self.delayed()
        await control(self.shop, "pause", job_id)
        return job_id

    async def paused_leased(self) -> str:
        """A job that was paused while an attempt runs."""
        job_id, _ = await self.leased()
        await control(self.shop, "pause", job_id)
        return job_id

    async def cancelled(self) -> str:
        """A job that was cancelled and archived."""
        job_id = await self.delayed()
        await control(self.shop, "cancel", job_id)
        await wait_until_archived(self.shop, job_id)
        return job_id

    async def cancelled_leased(self) -> str:
        """A job that was cancelled while an attempt runs."""
        job_id, _ = await self.leased()
        await control(self.shop, "cancel", job_id)
        return job_id

    async def expired(self) -> str:
        """A job that expired and was archived."""
        job_id = await self.delayed()
        await expire_now(self.shop, job_id)
        await wait_until_archived(self.shop, job_id)
        return job_id

    async def expired_leased(self) -> str:
        """A job that expired while an attempt runs."""
        job_id, _ = await self.leased()
        await expire_now(self.shop, job_id)
        return job_id
