"""Which events are counted already."""

from datetime import datetime

from sqlalchemy import DateTime, Index, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_stats_service.models.base import Base


class CountedEvent(Base):
    """One event whose figures are in the counters: written in the same transaction as they are."""

    __tablename__ = "counted_events"

    event_id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    count_time: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    # BRIN: rows arrive in this order, and removing old ones is all that it is for.
    __table_args__ = (Index(None, "count_time", postgresql_using="brin"),)
