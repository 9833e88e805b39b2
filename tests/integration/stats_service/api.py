"""StatsService over gRPC on a real PostgreSQL, at a time of the test's choice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from prometheus_client import CollectorRegistry
from stoflow.stats.v1 import stats_service_pb2 as rpc
from stoflow.stats.v1 import stats_service_pb2_grpc

from stoflow_service_kit.clock import ManualClock
from stoflow_service_kit.grpc_channel import open_channel
from stoflow_service_kit.grpc_server import GrpcServer
from stoflow_service_kit.grpc_status import DETAILS_KEY
from stoflow_stats_service.bootstrap import Parts
from stoflow_stats_service.event_decoder import decode_event
from stoflow_stats_service.rpc.stats import StatsServicer
from stoflow_stats_service.services.counting import CountResult
from stoflow_stats_service.settings import StatsSettings

NOW = datetime(2026, 1, 5, 12, 20, tzinfo=UTC)


class Stats:
    """A running servicer, its parts, and a client."""

    def __init__(self, parts: Parts, clock: ManualClock, registry: CollectorRegistry, address: str) -> None:
        self.parts = parts
        self.clock = clock
        self.registry = registry
        self.channel = open_channel(address)
        self._stub: Any = stats_service_pb2_grpc.StatsServiceStub(self.channel)

    async def count(self, *events: Any) -> CountResult:
        return await self.parts.counting.count([decode_event(event) for event in events])

    async def call(self, method: str, **fields: Any) -> Any:
        """Calls a method with a request of these fields."""
        request = getattr(rpc, f"{method}Request")(**fields)
        return await getattr(self._stub, method)(request, timeout=20)

    async def get(self, **fields: Any) -> list[rpc.MarketplaceJobStats]:
        return list((await self.call("GetMarketplaceStats", **{"tenant_id": 42, **fields})).stats)

    async def refusal(
        self, method: str = "GetMarketplaceStats", **fields: Any
    ) -> tuple[grpc.StatusCode, status_pb2.Status]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(method, **fields)
        trailers = dict(caught.value.trailing_metadata() or ())
        raw = trailers[DETAILS_KEY]
        assert isinstance(raw, bytes)
        return caught.value.code(), status_pb2.Status.FromString(raw)


@asynccontextmanager
async def serving(database_url: str, now: datetime = NOW, **settings: Any) -> AsyncIterator[Stats]:
    """Serves on a database, which need not be there."""
    clock, registry = ManualClock(now), CollectorRegistry()
    parts = Parts(
        StatsSettings(database_url=database_url, nats_url="nats://localhost:1", **settings), registry, clock
    )
    server = GrpcServer("127.0.0.1:0", CollectorRegistry())
    StatsServicer(parts.statistics, parts.rebuilds, parts.reconciling, clock).add_to(server)
    await server.start()
    stats = Stats(parts, clock, registry, server.address)
    yield stats
    await stats.channel.close()
    await server.drain(1)
    await parts.close()


def info_and_violations(status: status_pb2.Status) -> tuple[error_details_pb2.ErrorInfo, set[str]]:
    infos, fields = [], set()
    for detail in status.details:
        info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            infos.append(info)
        if detail.Unpack(bad_request):
            fields = {violation.field for violation in bad_request.field_violations}
    (info,) = infos
    assert info.domain == "stoflow"
    return info, fields
