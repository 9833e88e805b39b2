"""Jobs that failed for good: listed over all tenants, and retried."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from stoflow.admin.v1 import admin_pb2
from stoflow.admin.v1 import admin_service_pb2 as rpc
from stoflow.jobs.v1.job_service_pb2 import RetryJobRequest

from stoflow_orchestrator.engine.pool import unavailable_when_unreachable
from stoflow_orchestrator.messages.admin import dead_letter_message
from stoflow_orchestrator.messages.times import optional_times
from stoflow_orchestrator.paging import decode_token, encode_token, fit_page, page_size, time_and_id
from stoflow_orchestrator.repositories import control as control_repository
from stoflow_orchestrator.repositories import dead_letter as dead_letter_repository
from stoflow_orchestrator.repositories.dead_letter import DeadLetterFilter
from stoflow_orchestrator.services.idempotency import describe_mutation, repeated_result
from stoflow_orchestrator.services.job_control import JobControl
from stoflow_orchestrator.storable import check_storable
from stoflow_service_kit.errors import ServiceError

NO_TENANT = 0
DEFAULT_REPLAY_COUNT = 100
CONCURRENT_RETRIES = 3


class AdminDeadLetters:
    """Lists and replays."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]], control: JobControl) -> None:
        self._pool = pool
        self._control = control

    async def list(self, request: rpc.ListDeadLettersRequest) -> rpc.ListDeadLettersResponse:
        """Returns a page, newest first.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT or PAGE_TOKEN_INVALID.
        """
        check_storable(request)
        before = decode_token(request, request.page_token, time_and_id)
        size = page_size(request)
        narrow = _filter(request.filter, "filter")
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection:
                rows = await dead_letter_repository.list_page(connection, narrow, before, size + 1)
        letters = fit_page((dead_letter_message(row) for row in rows), size)
        token = ""
        if len(letters) < len(rows):
            last = rows[len(letters) - 1]
            token = encode_token(request, [last.finish_time, last.job_id])
        return rpc.ListDeadLettersResponse(dead_letters=letters, next_page_token=token)

    async def replay(self, request: rpc.ReplayDeadLettersRequest) -> rpc.ReplayDeadLettersResponse:
        """Retries the jobs that the first call with this request_id chose.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        check_storable(request)
        chosen = await self._choose(request)
        slots = asyncio.Semaphore(CONCURRENT_RETRIES)

        async def retry(tenant_id: int, job_id: UUID) -> admin_pb2.ReplayResult:
            async with slots:
                return await self._retry(request.request_id, tenant_id, job_id)

        results = list(await asyncio.gather(*(retry(*item) for item in chosen)))
        found = {job_id for _, job_id in chosen}
        results += [
            admin_pb2.ReplayResult(
                job_id=job_id, refusal_reason="JOB_NOT_FOUND", refusal_message="It is no dead letter."
            )
            for job_id in request.ids.job_ids
            if UUID(job_id) not in found
        ]
        return rpc.ReplayDeadLettersResponse(
            results=results, replayed_count=sum(result.replayed for result in results)
        )

    async def _choose(self, request: rpc.ReplayDeadLettersRequest) -> Sequence[tuple[int, UUID]]:
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection, connection.transaction():
                chosen = await self._find(connection, request)
                # What was chosen is kept: jobs that fail again later must not be retried by a repeated call.
                kept = json.dumps([[tenant_id, str(job_id)] for tenant_id, job_id in chosen])
                mutation = describe_mutation(NO_TENANT, request.request_id, request, kept)
                if (first := await control_repository.claim(connection, mutation)) is not None:
                    kept = repeated_result(mutation, first)
        return [(tenant_id, UUID(job_id)) for tenant_id, job_id in json.loads(kept)]

    async def _find(
        self, connection: AsyncConnection[Any], request: rpc.ReplayDeadLettersRequest
    ) -> Sequence[tuple[int, UUID]]:
        if request.WhichOneof("selection") == "ids":
            job_ids = [UUID(job_id) for job_id in request.ids.job_ids]
            return await dead_letter_repository.find_tenants(connection, job_ids)
        narrow = _filter(request.filter, "filter")
        limit = request.max_count or DEFAULT_REPLAY_COUNT
        rows = await dead_letter_repository.list_page(connection, narrow, None, limit)
        return [(row.tenant_id, row.job_id) for row in rows]

    async def _retry(self, request_id: str, tenant_id: int, job_id: UUID) -> admin_pb2.ReplayResult:
        result = admin_pb2.ReplayResult(job_id=str(job_id), tenant_id=tenant_id)
        request = RetryJobRequest(
            # The same for every repetition of the call, so that each job is retried once.
            request_id=str(uuid.uuid5(UUID(request_id), str(job_id))),
            tenant_id=tenant_id,
            job_id=str(job_id),
        )
        try:
            await self._control.retry(request)
        except ServiceError as error:
            result.refusal_reason = error.reason
            result.refusal_message = error.message
        else:
            result.replayed = True
        return result


def _filter(message: rpc.DeadLetterFilter, path: str) -> DeadLetterFilter:
    times: dict[str, datetime] = optional_times(message, path, "finish_time_from", "finish_time_to")
    return DeadLetterFilter(
        tenant_id=message.tenant_id,
        marketplace=message.marketplace,
        action=message.action,
        error_code=message.error_code,
        finish_time_from=times.get("finish_time_from"),
        finish_time_to=times.get("finish_time_to"),
    )
