"""What went wrong, and how often."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Integer
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_stats_service.models.base import (
    Base,
    generation_column,
    hour_column,
    hour_index,
    name_column,
    sum_column,
    tenant_column,
    whole_hour,
)


class MarketplaceErrorStats(Base):
    """Failures of one UTC hour, by tenant, marketplace, action, scope, class and code.

    The last failed attempt of a task and the run that failed by it carry the same failure; `scope` (RUN or
    ATTEMPT) keeps them apart, so that neither sum counts one fault twice.
    """

    __tablename__ = "marketplace_error_stats"

    generation: Mapped[int] = generation_column()
    tenant_id: Mapped[int] = tenant_column()
    hour: Mapped[datetime] = hour_column()
    marketplace: Mapped[str] = name_column()
    action: Mapped[str] = name_column()
    scope: Mapped[str] = name_column()
    # The number of a stoflow.common.v1.ErrorClass: also of one that is newer than this release.
    error_class: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    code: Mapped[str] = name_column()
    error_count: Mapped[int] = sum_column()

    __table_args__ = (
        whole_hour(),
        CheckConstraint("scope IN ('RUN', 'ATTEMPT')", name="scope"),
        CheckConstraint("error_count > 0", name="plausible"),
        hour_index(),
    )
