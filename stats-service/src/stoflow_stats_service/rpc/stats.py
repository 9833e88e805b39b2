"""stoflow.stats.v1.StatsService."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
from stoflow.stats.v1 import stats_pb2, stats_service_pb2, stats_service_pb2_grpc

from stoflow_service_kit.clock import Clock
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError
from stoflow_service_kit.grpc_server import GrpcServer
from stoflow_stats_service.paging import Position, decode_token, encode_token
from stoflow_stats_service.repositories.job_stats import ActionFigures
from stoflow_stats_service.repositories.selection import Selection
from stoflow_stats_service.rpc.messages import (
    to_difference,
    to_error_stats,
    to_job_stats,
    to_rebuild,
    to_task_stats,
    to_window,
)
from stoflow_stats_service.rpc.windows import Windows, parse_day
from stoflow_stats_service.services.rebuild_requests import RebuildService
from stoflow_stats_service.services.reconciling import ReconcileService
from stoflow_stats_service.services.statistics import StatisticsService, fold

DEFAULT_PAGE_SIZE = 50
_SERVICE = "/stoflow.stats.v1.StatsService/"
_WITH_WINDOW = ("GetMarketplaceStats", "GetTaskStats", "ListErrors", "ListSlowTasks")
_WITH_DAY = {"GetDailySummary": "day", "ReconcileDay": "day", "RebuildStats": "start_day"}

Context = grpc.aio.ServicerContext[Any, Any]


class StatsServicer(stats_service_pb2_grpc.StatsServiceServicer):
    """Answers statistics, and lets operators rebuild and reconcile them."""

    def __init__(
        self,
        statistics: StatisticsService,
        rebuilds: RebuildService,
        reconciling: ReconcileService,
        clock: Clock,
    ) -> None:
        self._statistics = statistics
        self._rebuilds = rebuilds
        self._reconciling = reconciling
        self._windows = Windows(clock)

    def add_to(self, server: GrpcServer) -> None:
        """Serves itself on a server, which lists what is wrong with a window beside all other violations."""
        server.add(stats_service_pb2_grpc.add_StatsServiceServicer_to_server, self)
        for method in _WITH_WINDOW:
            server.add_check(_SERVICE + method, self._windows.violations)
        for method, field in _WITH_DAY.items():
            server.add_check(_SERVICE + method, _day_check(field))

    async def GetMarketplaceStats(
        self, request: stats_service_pb2.GetMarketplaceStatsRequest, context: Context
    ) -> stats_service_pb2.GetMarketplaceStatsResponse:
        found = await self._statistics.list_by_action(self._windows.selection(request))
        return stats_service_pb2.GetMarketplaceStatsResponse(
            stats=map(to_job_stats, found.rows), window=to_window(found.selection)
        )

    async def GetDailySummary(
        self, request: stats_service_pb2.GetDailySummaryRequest, context: Context
    ) -> stats_service_pb2.GetDailySummaryResponse:
        day = parse_day(request.day, "day") if request.day else self._windows.today()
        selection = Selection(
            request.tenant_id, request.marketplace, request.action, day, day + timedelta(days=1)
        )
        found = await self._statistics.list_by_action(selection)
        total = ActionFigures()
        for row in found.rows:
            total.merge(row)
        return stats_service_pb2.GetDailySummaryResponse(
            total=to_job_stats(total),
            by_marketplace=map(to_job_stats, fold(found.rows, lambda row: (row.marketplace, ""))),
            by_action=map(to_job_stats, fold(found.rows, lambda row: ("", row.action))),
            window=to_window(found.selection),
        )

    async def GetTaskStats(
        self, request: stats_service_pb2.GetTaskStatsRequest, context: Context
    ) -> stats_service_pb2.GetTaskStatsResponse:
        found = await self._statistics.list_by_step(self._windows.selection(request))
        return stats_service_pb2.GetTaskStatsResponse(
            stats=map(to_task_stats, found.rows), window=to_window(found.selection)
        )

    async def ListErrors(
        self, request: stats_service_pb2.ListErrorsRequest, context: Context
    ) -> stats_service_pb2.ListErrorsResponse:
        selection, offset = self._page(request)
        size = request.page_size or DEFAULT_PAGE_SIZE
        is_of_attempts = request.scope == stats_pb2.ERROR_SCOPE_ATTEMPT
        scope = stats_pb2.ERROR_SCOPE_ATTEMPT if is_of_attempts else stats_pb2.ERROR_SCOPE_RUN
        name = "ATTEMPT" if is_of_attempts else "RUN"
        # One more than the page holds tells whether there is another page.
        found = await self._statistics.list_errors(selection, name, size + 1, offset)
        return stats_service_pb2.ListErrorsResponse(
            errors=[to_error_stats(row, scope) for row in found.rows[:size]],
            next_page_token=_next_token(request, selection, offset + size, is_last=len(found.rows) <= size),
            window=to_window(found.selection),
        )

    async def ListSlowTasks(
        self, request: stats_service_pb2.ListSlowTasksRequest, context: Context
    ) -> stats_service_pb2.ListSlowTasksResponse:
        selection, offset = self._page(request)
        size = request.page_size or DEFAULT_PAGE_SIZE
        found = await self._statistics.list_slow_steps(selection, request.min_p95.ToMicroseconds())
        end = offset + size
        return stats_service_pb2.ListSlowTasksResponse(
            tasks=[to_task_stats(slow.step) for slow in found.rows[offset:end]],
            next_page_token=_next_token(request, selection, end, is_last=len(found.rows) <= end),
            window=to_window(found.selection),
        )

    async def RebuildStats(
        self, request: stats_service_pb2.RebuildStatsRequest, context: Context
    ) -> stats_service_pb2.RebuildStatsResponse:
        start_day = parse_day(request.start_day, "start_day") if request.start_day else None
        row = await self._rebuilds.begin(request.request_id, start_day, drop_unlisted=request.drop_unlisted)
        return stats_service_pb2.RebuildStatsResponse(rebuild=to_rebuild(row))

    async def GetRebuild(
        self, request: stats_service_pb2.GetRebuildRequest, context: Context
    ) -> stats_service_pb2.GetRebuildResponse:
        return stats_service_pb2.GetRebuildResponse(
            rebuild=to_rebuild(await self._rebuilds.get(request.generation))
        )

    async def ReconcileDay(
        self, request: stats_service_pb2.ReconcileDayRequest, context: Context
    ) -> stats_service_pb2.ReconcileDayResponse:
        found = await self._reconciling.reconcile(parse_day(request.day, "day"))
        return stats_service_pb2.ReconcileDayResponse(
            event_count=found.event_count,
            difference_count=found.difference_count,
            differences=map(to_difference, found.differences),
        )

    def _page(self, request: Any) -> tuple[Selection, int]:
        position = decode_token(request, request.page_token)
        return self._windows.selection(request, position), position.offset if position else 0


def _next_token(request: Any, selection: Selection, offset: int, *, is_last: bool) -> str:
    if is_last:
        return ""
    return encode_token(request, Position(selection.start, selection.end, offset))


def _day_check(field: str) -> Callable[[Any], list[FieldViolation]]:
    def check(request: Any) -> list[FieldViolation]:
        text = getattr(request, field)
        try:
            # What has another form is said by the rule of the field.
            if len(text) == len("2026-01-05"):
                parse_day(text, field)
        except InvalidArgumentError as error:
            return list(error.violations)
        return []

    return check
