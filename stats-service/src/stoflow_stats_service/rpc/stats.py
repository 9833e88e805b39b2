"""stoflow.stats.v1.StatsService."""

from typing import Any

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from stoflow.stats.v1 import stats_service_pb2, stats_service_pb2_grpc

from stoflow_service_kit.clock import Clock
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError
from stoflow_service_kit.grpc_server import GrpcServer
from stoflow_stats_service.repositories.job_stats import ActionFigures
from stoflow_stats_service.services.marketplace_stats import MarketplaceStatsService
from stoflow_stats_service.window import Moment, Window, WindowError, resolve_window

_METHOD = "/stoflow.stats.v1.StatsService/GetMarketplaceStats"


class StatsServicer(stats_service_pb2_grpc.StatsServiceServicer):
    """Answers statistics."""

    def __init__(self, service: MarketplaceStatsService, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    async def GetMarketplaceStats(
        self,
        request: stats_service_pb2.GetMarketplaceStatsRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> stats_service_pb2.GetMarketplaceStatsResponse:
        rows = await self._service.list_by_action(
            request.tenant_id, self._window(request), request.marketplace, request.action
        )
        return stats_service_pb2.GetMarketplaceStatsResponse(stats=[to_proto(row) for row in rows])

    def add_to(self, server: GrpcServer) -> None:
        """Serves itself on a server, which lists what is wrong with a window beside all other violations."""
        server.add(stats_service_pb2_grpc.add_StatsServiceServicer_to_server, self)
        server.add_check(_METHOD, self._window_violations)

    def _window_violations(
        self, request: stats_service_pb2.GetMarketplaceStatsRequest
    ) -> list[FieldViolation]:
        try:
            self._window(request)
        except InvalidArgumentError as error:
            return list(error.violations)
        return []

    def _window(self, request: stats_service_pb2.GetMarketplaceStatsRequest) -> Window:
        try:
            return resolve_window(
                _moment(request.start_time) if request.HasField("start_time") else None,
                _moment(request.end_time) if request.HasField("end_time") else None,
                Moment(int(self._clock.now().timestamp())),
            )
        except WindowError as error:
            raise InvalidArgumentError([FieldViolation(*problem) for problem in error.problems]) from error


def _moment(timestamp: Timestamp) -> Moment:
    return Moment(timestamp.seconds, timestamp.nanos)


def to_proto(row: ActionFigures) -> stats_service_pb2.MarketplaceJobStats:
    """Turns sums into the answer's rate and means, which are absent where there is nothing to divide by."""
    ended = row.success_count + row.failure_count
    return stats_service_pb2.MarketplaceJobStats(
        marketplace=row.marketplace,
        action=row.action,
        total_count=row.total_count,
        success_count=row.success_count,
        failure_count=row.failure_count,
        cancelled_count=row.cancelled_count,
        expired_count=row.expired_count,
        retried_count=row.retried_count,
        success_rate=row.success_count / ended if ended else None,
        mean_run_duration=_mean(row.run_us_sum, row.run_count),
        min_run_duration=_duration(row.run_us_min),
        max_run_duration=_duration(row.run_us_max),
        mean_queue_duration=_mean(row.queue_us_sum, row.queue_count),
    )


def _mean(us_sum: int, count: int) -> Duration | None:
    # Rounded to the nearest microsecond, in integers.
    return _duration((us_sum + count // 2) // count) if count else None


def _duration(microseconds: int | None) -> Duration | None:
    if microseconds is None:
        return None
    duration = Duration()
    duration.FromMicroseconds(microseconds)
    return duration
