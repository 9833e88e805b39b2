"""Which events are counted already."""

from datetime import datetime

from sqlalchemy import DateTime, Text
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_stats_service.models.base import Base, generation_column, hour_index


class CountedEvent(Base):
    """One event whose figures are in the counters: written in the same transaction as they are."""

    __tablename__ = "counted_events"

    generation: Mapped[int] = generation_column()
    event_id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    # The UTC hour in which it occurred: ids are forgotten by it, and what occurred before it is not counted any more.
    hour: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    __table_args__ = (hour_index(),)
