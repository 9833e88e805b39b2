"""From figures to messages. What was not measured is absent, not zero."""

from datetime import datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from stoflow.common.v1 import failure_pb2
from stoflow.stats.v1 import stats_pb2, stats_service_pb2

from stoflow_stats_service.figures import Durations
from stoflow_stats_service.repositories.error_stats import ErrorFigures
from stoflow_stats_service.repositories.generation import GenerationRow
from stoflow_stats_service.repositories.job_stats import ActionFigures
from stoflow_stats_service.repositories.selection import Selection
from stoflow_stats_service.repositories.task_stats import StepFigures
from stoflow_stats_service.services.reconciling import Difference
from stoflow_stats_service.sketch import percentiles_us

_REBUILD_STATES = {
    "BUILDING": stats_pb2.REBUILD_STATE_RUNNING,
    "ACTIVE": stats_pb2.REBUILD_STATE_COMPLETED,
    "RETIRED": stats_pb2.REBUILD_STATE_COMPLETED,
    "FAILED": stats_pb2.REBUILD_STATE_FAILED,
}


def to_job_stats(row: ActionFigures) -> stats_service_pb2.MarketplaceJobStats:
    """Turns sums into the answer's rate and means."""
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
        mean_run_duration=_mean(row.run),
        min_run_duration=_duration(row.run.us_min),
        max_run_duration=_duration(row.run.us_max),
        mean_queue_duration=_mean(row.queue),
        period_start_time=_time(row.period),
        run_duration=_duration_stats(row.run),
        queue_duration=_duration_stats(row.queue),
    )


def to_task_stats(row: StepFigures) -> stats_pb2.MarketplaceTaskStats:
    """Turns sums into the answer's rate and means."""
    ended = row.completed_count + row.failed_count
    return stats_pb2.MarketplaceTaskStats(
        marketplace=row.marketplace,
        action=row.action,
        task_name=row.task_name,
        period_start_time=_time(row.period),
        attempt_count=row.attempt_count,
        completed_count=row.completed_count,
        retried_count=row.retried_count,
        failed_count=row.failed_count,
        success_rate=row.completed_count / ended if ended else None,
        duration=_duration_stats(row.duration),
    )


def to_error_stats(row: ErrorFigures, scope: stats_pb2.ErrorScope.ValueType) -> stats_pb2.ErrorStats:
    """Turns a count into the answer's share."""
    return stats_pb2.ErrorStats(
        marketplace=row.marketplace,
        action=row.action,
        scope=scope,
        error_class=failure_pb2.ErrorClass.ValueType(row.error_class),
        code=row.code,
        count=row.error_count,
        share=row.error_count / row.all_count,
    )


def to_window(selection: Selection) -> stats_pb2.StatsWindow:
    """Returns what a selection covers."""
    return stats_pb2.StatsWindow(start_time=_time(selection.start), end_time=_time(selection.end))


def to_rebuild(row: GenerationRow) -> stats_pb2.Rebuild:
    """Returns how a rebuild stands."""
    return stats_pb2.Rebuild(
        generation=row.generation,
        state=_REBUILD_STATES[row.state],
        start_time=_time(row.first_day),
        event_count=row.event_count,
        create_time=_time(row.create_time),
        finish_time=_time(row.finish_time),
        problem=row.problem,
    )


def to_difference(difference: Difference) -> stats_pb2.ReconcileDifference:
    """Returns a figure that differs."""
    return stats_pb2.ReconcileDifference(**difference._asdict())


def _duration_stats(measured: Durations) -> stats_pb2.DurationStats | None:
    if not measured.count:
        return None
    percentiles = percentiles_us(measured.hits, (0.5, 0.95, 0.99), measured.us_min, measured.us_max)
    p50, p95, p99 = percentiles or (None, None, None)
    return stats_pb2.DurationStats(
        count=measured.count,
        total=_duration(measured.us_sum),
        mean=_mean(measured),
        min=_duration(measured.us_min),
        max=_duration(measured.us_max),
        p50=_duration(p50),
        p95=_duration(p95),
        p99=_duration(p99),
    )


def _mean(measured: Durations) -> Duration | None:
    # Rounded to the nearest microsecond, in integers.
    count = measured.count
    return _duration((measured.us_sum + count // 2) // count) if count else None


def _duration(microseconds: int | None) -> Duration | None:
    if microseconds is None:
        return None
    duration = Duration()
    duration.FromMicroseconds(microseconds)
    return duration


def _time(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp
