"""How attempts at tasks ended."""

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


class MarketplaceTaskStats(Base):
    """Attempts that ended in one UTC hour, by tenant, marketplace, action and task name."""

    __tablename__ = "marketplace_task_stats"

    generation: Mapped[int] = generation_column()
    tenant_id: Mapped[int] = tenant_column()
    hour: Mapped[datetime] = hour_column()
    marketplace: Mapped[str] = name_column()
    action: Mapped[str] = name_column()
    task_name: Mapped[str] = name_column()
    attempt_count: Mapped[int] = sum_column()
    completed_count: Mapped[int] = sum_column()
    retried_count: Mapped[int] = sum_column()
    failed_count: Mapped[int] = sum_column()
    duration_count: Mapped[int] = sum_column()
    duration_us_sum: Mapped[int] = sum_column()
    duration_us_min: Mapped[int | None] = min_column()
    duration_us_max: Mapped[int | None] = max_column()
    duration_sketch: Mapped[list[int] | None] = sketch_column()

    __table_args__ = (
        whole_hour(),
        CheckConstraint(
            "attempt_count = completed_count + retried_count + failed_count", name="every_attempt_ended"
        ),
        CheckConstraint(
            "attempt_count > 0 AND least(completed_count, retried_count, failed_count) >= 0"
            " AND duration_count <= attempt_count",
            name="plausible",
        ),
        measured("duration"),
        hour_index(),
    )
