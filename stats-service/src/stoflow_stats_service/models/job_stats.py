"""How runs of jobs ended."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped

from stoflow_stats_service.models.base import (
    Base,
    generation_column,
    hour_column,
    hour_index,
    max_column,
    measured,
    min_column,
    name_column,
    sketch_column,
    sum_column,
    tenant_column,
    whole_hour,
)


class MarketplaceJobStats(Base):
    """Runs that ended in one UTC hour, by tenant, marketplace and action."""

    __tablename__ = "marketplace_job_stats"

    # The hour stands behind the tenant: most questions are about one tenant and a range of hours.
    generation: Mapped[int] = generation_column()
    tenant_id: Mapped[int] = tenant_column()
    hour: Mapped[datetime] = hour_column()
    marketplace: Mapped[str] = name_column()
    action: Mapped[str] = name_column()
    total_count: Mapped[int] = sum_column()
    success_count: Mapped[int] = sum_column()
    failure_count: Mapped[int] = sum_column()
    cancelled_count: Mapped[int] = sum_column()
    expired_count: Mapped[int] = sum_column()
    retried_count: Mapped[int] = sum_column()
    run_count: Mapped[int] = sum_column()
    run_us_sum: Mapped[int] = sum_column()
    run_us_min: Mapped[int | None] = min_column()
    run_us_max: Mapped[int | None] = max_column()
    run_sketch: Mapped[list[int] | None] = sketch_column()
    queue_count: Mapped[int] = sum_column()
    queue_us_sum: Mapped[int] = sum_column()
    # NULL on rows that are older than the column, too.
    queue_us_min: Mapped[int | None] = min_column()
    queue_us_max: Mapped[int | None] = max_column()
    queue_sketch: Mapped[list[int] | None] = sketch_column()

    __table_args__ = (
        whole_hour(),
        CheckConstraint(
            "total_count = success_count + failure_count + cancelled_count + expired_count",
            name="every_run_ended",
        ),
        CheckConstraint(
            "total_count > 0 AND queue_us_sum >= 0"
            " AND least(success_count, failure_count, cancelled_count, expired_count, retried_count) >= 0"
            " AND greatest(retried_count, run_count, queue_count) <= total_count",
            name="plausible",
        ),
        measured("run"),
        CheckConstraint(
            "num_nulls(queue_us_min, queue_us_max) IN (0, 2) AND (queue_us_min IS NULL"
            " OR (queue_count > 0 AND queue_us_min >= 0 AND queue_us_max >= queue_us_min))",
            name="queue_measured",
        ),
        hour_index(),
    )
