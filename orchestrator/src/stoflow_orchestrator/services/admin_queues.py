"""What operators see of queues and connectors, and taking a connector out of service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from stoflow.admin.v1 import admin_pb2
from stoflow.admin.v1 import admin_service_pb2 as rpc
from stoflow.jobs.v1.job_pb2 import Priority, WaitReason

from stoflow_orchestrator.engine.fairness import Room
from stoflow_orchestrator.engine.pool import unavailable_when_unreachable
from stoflow_orchestrator.engine.publication import Publication
from stoflow_orchestrator.messages.admin import connector_message, set_times
from stoflow_orchestrator.messages.times import to_timestamp
from stoflow_orchestrator.repositories import control as control_repository
from stoflow_orchestrator.repositories import queues as queue_repository
from stoflow_orchestrator.services.idempotency import describe_mutation, repeated_result
from stoflow_service_kit.errors import NotFoundError

NO_TENANT = 0
PRIORITIES = (1, 2, 3, 4)


class AdminQueues:
    """Counts what waits and runs, and knows the connectors."""

    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection[Any]], on_commit: Callable[[Publication], None]
    ) -> None:
        self._pool = pool
        self._on_commit = on_commit

    async def list_queues(self, request: rpc.ListQueuesRequest) -> rpc.ListQueuesResponse:
        """Returns what every marketplace has to do."""
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection, connection.transaction():
                await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                marketplaces = await queue_repository.list_marketplaces(connection, request.marketplace)
                counts = await queue_repository.count_jobs(connection, request.marketplace)
                ended = await queue_repository.count_ended(connection)
        by_marketplace: dict[str, list[Any]] = defaultdict(list)
        for row in counts:
            by_marketplace[row.marketplace].append(row)
        return rpc.ListQueuesResponse(
            marketplaces=[
                _marketplace_message(row, by_marketplace[row.marketplace], ended) for row in marketplaces
            ]
        )

    async def list_connectors(self, request: rpc.ListConnectorsRequest) -> rpc.ListConnectorsResponse:
        """Returns the live connectors."""
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection:
                rows = await queue_repository.list_connectors(connection, request.marketplace)
        return rpc.ListConnectorsResponse(connectors=[connector_message(row) for row in rows])

    async def drain(self, request: rpc.DrainConnectorRequest) -> admin_pb2.ConnectorInfo:
        """Takes a connector out of service.

        Raises:
            NotFoundError: CONNECTOR_NOT_FOUND.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        instance_id = UUID(request.instance_id)
        mutation = describe_mutation(NO_TENANT, request.request_id, request, str(instance_id))
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection, connection.transaction():
                if (first := await control_repository.claim(connection, mutation)) is not None:
                    repeated_result(mutation, first)
                marketplace = await queue_repository.drain(connection, instance_id)
                rows = await queue_repository.list_connectors(connection, instance_id=instance_id)
                if marketplace is None or not rows:
                    raise NotFoundError(
                        f"No connector {instance_id} is alive.",
                        reason="CONNECTOR_NOT_FOUND",
                        metadata={"instance_id": str(instance_id)},
                    )
        # It hears of it at once, not with its next heartbeat.
        self._on_commit(Publication(directives={(marketplace, instance_id)}))
        return connector_message(rows[0])


def _marketplace_message(
    row: Any, counts: Iterable[Any], ended: dict[tuple[str, int], int]
) -> admin_pb2.MarketplaceQueues:
    queues = {
        priority: admin_pb2.Queue(
            priority=Priority.ValueType(priority), ended_last_minute=ended.get((row.marketplace, priority), 0)
        )
        for priority in PRIORITIES
    }
    for count in counts:
        _add_count(queues[count.priority], count)
    capacity = row.slots if row.max_admitted_jobs is None else min(row.slots, row.max_admitted_jobs)
    empty = Room.of(capacity, 0, 0)
    message = admin_pb2.MarketplaceQueues(
        marketplace=row.marketplace,
        queues=queues.values(),
        slots=row.slots,
        reserved_slots=empty.free - empty.ordinary,
        running_count=sum(queue.running_count for queue in queues.values()),
        max_admitted_jobs=row.max_admitted_jobs,
        pause_reason=row.pause_reason,
    )
    set_times(message, row, "pause_time")
    if row.rate_limit_time is not None:
        message.rate_limit_end_time.CopyFrom(to_timestamp(row.rate_limit_time))
    return message


def _add_count(queue: admin_pb2.Queue, count: Any) -> None:
    if count.waiting:
        reason = WaitReason.Value(f"WAIT_REASON_{count.wait_reason or 'UNSPECIFIED'}")
        queue.waiting.add(wait_reason=reason, count=count.waiting)
    queue.running_count += count.running
    queue.paused_count += count.paused
    if count.oldest_age is not None:
        age: timedelta = count.oldest_age
        queue.oldest_age.FromTimedelta(age)
