"""JobService and ConnectorService answer wrong input with the right code and change nothing."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable
from typing import Any

import grpc.aio
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status
from stoflow.connector.v1 import connector_service_pb2 as connector_rpc
from stoflow.jobs.v1 import job_pb2, job_service_pb2

from tests.integration.orchestrator_engine.conftest import Shop, options
from tests.integration.orchestrator_engine.connector import manifest, step

PRODUCT_SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "product": {
                "type": "object",
                "properties": {
                    "content": {"type": "object", "properties": {"title": {"maxLength": 5}}},
                    "images": {"minItems": 1},
                },
            }
        },
    }
)
OPTIONS_SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"quantity": {"type": "integer", "minimum": 1}},
        "required": ["quantity"],
        "additionalProperties": False,
    }
)


def _error_of(error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str, list[str]]:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    infos, fields = [], []
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            assert info.domain == "stoflow"
            infos.append(info.reason)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            fields += [violation.field for violation in bad.field_violations]
    assert len(infos) == 1
    return error.code(), infos[0], fields


async def _refused(call: Awaitable[object]) -> tuple[grpc.StatusCode, str, list[str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return _error_of(caught.value)


INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
ALREADY_EXISTS = grpc.StatusCode.ALREADY_EXISTS


async def test_every_wrong_field_of_create_job_is_named_at_once(shop: Shop) -> None:
    """A request with four wrong fields lists all four."""
    call = shop.stubs.jobs.CreateJob(job_service_pb2.CreateJobRequest(action="No Action", max_retries=1000))
    code, reason, fields = await _refused(call)
    assert (code, reason) == (INVALID, "INVALID_ARGUMENT")
    assert set(fields) >= {"request_id", "tenant_id", "account_id", "action", "max_retries"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"tenant_id": 999_999_999}, (NOT_FOUND, "TENANT_NOT_FOUND")),
        ({"account_id": str(uuid.uuid4())}, (NOT_FOUND, "ACCOUNT_NOT_FOUND")),
        ({"product_id": str(uuid.uuid4())}, (NOT_FOUND, "PRODUCT_NOT_FOUND")),
        ({"action": "fly"}, (INVALID, "ACTION_NOT_FOUND")),
        ({"site": "MOON"}, (INVALID, "SITE_NOT_ALLOWED")),
        ({"options": options(quantity=0, colour="red")}, (INVALID, "OPTIONS_INVALID")),
    ],
)
async def test_unknown_things_are_refused_and_nothing_is_created(
    shop: Shop, values: dict[str, Any], expected: tuple[grpc.StatusCode, str]
) -> None:
    """Each unknown thing has its own reason, and no job exists afterwards."""
    await shop.open(step("only"), options_schema=OPTIONS_SCHEMA)
    code, reason, fields = await _refused(
        shop.stubs.jobs.CreateJob(shop.job_request(**{"options": options(quantity=1), **values}))
    )
    assert (code, reason) == expected
    if reason == "OPTIONS_INVALID":
        assert len(fields) == 2
    listed = await shop.stubs.jobs.ListJobs(job_service_pb2.ListJobsRequest(tenant_id=shop.tenant_id))
    assert not listed.jobs


async def test_product_that_the_marketplace_would_refuse_is_refused_with_every_violation(shop: Shop) -> None:
    """Title and images are both named before any job exists."""
    await shop.open(step("only"), requires_product=True, product_schema=PRODUCT_SCHEMA)
    product_id = await shop.stubs.create_product(shop.tenant_id)
    code, reason, fields = await _refused(shop.stubs.jobs.CreateJob(shop.job_request(product_id)))
    assert (code, reason) == (INVALID, "PRODUCT_REFUSED")
    assert sorted(fields) == ["product.product.content.title", "product.product.images"]


async def test_action_that_needs_a_product_is_refused_without_one(shop: Shop) -> None:
    """requires_product is checked when the job is created."""
    await shop.open(step("only"), requires_product=True)
    code, _, fields = await _refused(shop.stubs.jobs.CreateJob(shop.job_request()))
    assert (code, fields) == (INVALID, ["product_id"])


async def test_same_request_gives_the_first_job_and_another_body_is_refused(shop: Shop) -> None:
    """request_id makes CreateJob repeatable, also by twenty callers at once."""
    await shop.open(step("only"))
    request = shop.job_request()
    responses = await asyncio.gather(*(shop.stubs.jobs.CreateJob(request) for _ in range(20)))
    assert len({response.job.job_id for response in responses}) == 1
    request.max_retries = 7
    code, reason, _ = await _refused(shop.stubs.jobs.CreateJob(request))
    assert (code, reason) == (ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_second_live_job_for_the_same_thing_is_refused_and_the_first_one_named(shop: Shop) -> None:
    """Two browser tabs publish once, however close together they click."""
    connector = await shop.open(step("only"))
    outcomes = await asyncio.gather(
        *(shop.stubs.jobs.CreateJob(shop.job_request()) for _ in range(10)), return_exceptions=True
    )
    created = [o for o in outcomes if not isinstance(o, BaseException)]
    assert len(created) == 1
    for outcome in outcomes:
        if isinstance(outcome, grpc.aio.AioRpcError):
            assert _error_of(outcome)[:2] == (ALREADY_EXISTS, "JOB_EXISTS")
    command, granted = await connector.receive_and_start()
    await connector.succeed(command, granted.lease_token)
    await shop.wait_for_end(command.job_id)
    await shop.create_job()


async def test_page_tokens_walk_the_list_once_and_belong_to_their_query(shop: Shop) -> None:
    """Pages of two give every job exactly once, newest first; a token of another query is refused."""
    connector = await shop.open(step("only"))
    products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(5)]
    created = [(await shop.create_job(product_id)).job_id for product_id in products]
    command, granted = await connector.receive_and_start()
    await connector.succeed(command, granted.lease_token)
    await shop.wait_for_end(command.job_id)
    seen: list[str] = []
    request = job_service_pb2.ListJobsRequest(tenant_id=shop.tenant_id, page_size=2)
    while True:
        page = await shop.stubs.jobs.ListJobs(request)
        seen += [job.job_id for job in page.jobs]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == created[::-1]
    request.filter.states.append(job_pb2.JOB_STATE_FAILED)
    code, reason, _ = await _refused(shop.stubs.jobs.ListJobs(request))
    assert (code, reason) == (INVALID, "PAGE_TOKEN_INVALID")


async def test_jobs_of_another_tenant_are_not_found(shop: Shop) -> None:
    """A job's id is worth nothing under another tenant."""
    await shop.open(step("only"))
    job = await shop.create_job()
    other = await shop.stubs.create_tenant()
    for call in (
        shop.stubs.jobs.GetJob(job_service_pb2.GetJobRequest(tenant_id=other, job_id=job.job_id)),
        shop.stubs.jobs.ListJobEvents(
            job_service_pb2.ListJobEventsRequest(tenant_id=other, job_id=job.job_id)
        ),
    ):
        assert (await _refused(call))[:2] == (NOT_FOUND, "JOB_NOT_FOUND")


async def test_watch_gives_every_event_after_a_sequence_once_and_ends_with_the_job(shop: Shop) -> None:
    """A caller that lost its stream gets exactly the events it missed."""
    connector = await shop.open(step("only"))
    job = await shop.create_job()
    command, granted = await connector.receive_and_start()
    request = job_service_pb2.WatchJobRequest(tenant_id=shop.tenant_id, job_id=job.job_id, after_sequence=1)
    updates = []
    async for update in shop.stubs.jobs.WatchJob(request, timeout=20):
        updates.append(update)
        if len(updates) == 1:
            await connector.succeed(command, granted.lease_token)
    assert updates[0].job.job_id == job.job_id
    assert [update.event.sequence for update in updates[1:]] == [2, 3, 4, 5]


async def test_broken_manifest_is_refused_with_every_violation(shop: Shop) -> None:
    """A schema that is no JSON and a fan-out without a product are both named; nothing is registered."""
    content = manifest(shop.marketplace, step("only"), options_schema="{")
    content.actions[0].tasks[0].for_each = "images"
    request = connector_rpc.RegisterConnectorRequest(instance_id=str(uuid.uuid4()), manifest=content, slots=1)
    code, reason, fields = await _refused(shop.stubs.connector.RegisterConnector(request))
    assert (code, reason) == (INVALID, "MANIFEST_INVALID")
    assert fields == ["manifest.actions[0].options_schema", "manifest.actions[0].tasks[0].for_each"]
    assert not await shop.query(
        "SELECT 1 FROM public.connector_manifests WHERE marketplace = %s", shop.marketplace
    )


async def test_manifest_version_keeps_its_content_for_ever(shop: Shop) -> None:
    """The same version with other content is refused; the same content again is fine."""
    connector = await shop.open(step("only"))
    await connector.register()
    connector.manifest = manifest(shop.marketplace, step("other"))
    request = connector_rpc.RegisterConnectorRequest(
        instance_id=connector.instance_id, manifest=connector.manifest, slots=1
    )
    code, reason, _ = await _refused(shop.stubs.connector.RegisterConnector(request))
    assert (code, reason) == (ALREADY_EXISTS, "MANIFEST_CONFLICT")


async def test_unregistered_connector_is_told_to_register(shop: Shop) -> None:
    """Starting without a registration is refused, and a heartbeat says what to do."""
    connector = await shop.open(step("only"))
    await shop.create_job()
    command = await connector.receive()
    connector.instance_id = str(uuid.uuid4())
    start = connector_rpc.TaskStart(command=command, lease_token=str(uuid.uuid4()))
    request = connector_rpc.StartTasksRequest(instance_id=connector.instance_id, starts=[start])
    code, reason, _ = await _refused(shop.stubs.connector.StartTasks(request))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CONNECTOR_NOT_REGISTERED")
    assert (await connector.heartbeat()).must_register
