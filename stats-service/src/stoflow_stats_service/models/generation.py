"""Generations of figures, and what was compared with the orchestrator's history."""

from datetime import date, datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Date, DateTime, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_stats_service.models.base import Base


class Generation(Base):
    """One count of everything. The ACTIVE one answers; a BUILDING one is counted beside it and then takes its place."""

    __tablename__ = "generations"

    generation: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(Text)
    # Events of earlier hours are not counted in it: their ids are forgotten, or their figures not yet taken over.
    start_hour: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    # Hours before it are rolled up into days.
    hours_start: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    # Of the request that asked for it; NULL for the first.
    request_id: Mapped[str | None] = mapped_column(Text)
    request_digest: Mapped[str | None] = mapped_column(Text)
    # First day that is read from the history; NULL for the first.
    first_day: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    drop_unlisted: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    # Where the next page of the history begins.
    page_token: Mapped[str] = mapped_column(Text, server_default="")
    event_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    problem: Mapped[str] = mapped_column(Text, server_default="")
    create_time: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    finish_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        CheckConstraint("state IN ('BUILDING', 'ACTIVE', 'RETIRED', 'FAILED')", name="state"),
        CheckConstraint("(state = 'BUILDING') = (finish_time IS NULL)", name="finished"),
        CheckConstraint(
            "extract(epoch from hours_start)::bigint % 86400 = 0"
            " AND extract(epoch from start_hour)::bigint % 3600 = 0",
            name="whole_days",
        ),
        Index("ix_generations_request_id", "request_id", unique=True),
        Index("ix_generations_active", "state", unique=True, postgresql_where=text("state = 'ACTIVE'")),
        Index("ix_generations_building", "state", unique=True, postgresql_where=text("state = 'BUILDING'")),
    )


class ReconciledDay(Base):
    """A closed UTC day that was compared with the orchestrator's history."""

    __tablename__ = "reconciled_days"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    check_time: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    event_count: Mapped[int] = mapped_column(BigInteger)
    difference_count: Mapped[int] = mapped_column(BigInteger)
