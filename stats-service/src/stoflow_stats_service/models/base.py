"""What the tables share: the schema, column types, and how a column adds up.

Each counter column names in its `info` how two figures become one (`sum`, `min`, `max` or `sketch`), so that the
statement that adds a batch is derived from the table and cannot forget a column.
"""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Index, MetaData, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA = "stats"
MERGE = "merge"


class Base(DeclarativeBase):
    metadata = MetaData(
        schema=SCHEMA,
        naming_convention={
            "pk": "pk_%(table_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        },
    )


def name_column() -> Mapped[str]:
    """A part of the key; collation C, so that the order of answers is the same on every server."""
    return mapped_column(Text(collation="C"), primary_key=True)


def generation_column() -> Mapped[int]:
    """Which generation of figures the row belongs to: each holds everything, and one of them answers."""
    return mapped_column(BigInteger, primary_key=True, autoincrement=False)


def hour_column() -> Mapped[Any]:
    """The start of the UTC hour in which the event occurred; of the UTC day, once its hours are rolled up."""
    return mapped_column(DateTime(timezone=True), primary_key=True)


def tenant_column() -> Mapped[int]:
    return mapped_column(BigInteger, primary_key=True, autoincrement=False)


def sum_column() -> Mapped[int]:
    """A count, or a sum of microseconds."""
    return mapped_column(BigInteger, info={MERGE: "sum"})


def min_column() -> Mapped[int | None]:
    """Least of the microseconds; NULL while nothing was measured."""
    return mapped_column(BigInteger, info={MERGE: "min"})


def max_column() -> Mapped[int | None]:
    """Greatest of the microseconds; NULL while nothing was measured."""
    return mapped_column(BigInteger, info={MERGE: "max"})


def sketch_column() -> Mapped[list[int] | None]:
    """Buckets of the durations, see sketch.py; NULL while nothing was measured, and on rows older than sketches."""
    return mapped_column(ARRAY(BigInteger), info={MERGE: "sketch"})


def whole_hour() -> CheckConstraint:
    """Rows of one hour must share one key, whatever the session's time zone."""
    return CheckConstraint("extract(epoch from hour)::bigint % 3600 = 0", name="whole_hour")


def measured(prefix: str) -> CheckConstraint:
    """Sum, least and greatest exist when something was measured, and only then, and do not contradict."""
    return CheckConstraint(
        f"({prefix}_count = 0 AND {prefix}_us_sum = 0 AND num_nulls({prefix}_us_min, {prefix}_us_max) = 2)"
        f" OR ({prefix}_count > 0 AND num_nulls({prefix}_us_min, {prefix}_us_max) = 0"
        f" AND {prefix}_us_min >= 0 AND {prefix}_us_max >= {prefix}_us_min"
        f" AND {prefix}_us_sum >= {prefix}_us_max)",
        name=f"{prefix}_measured",
    )


def hour_index() -> Index:
    """For questions over all tenants and for what is done by age; BRIN, since rows arrive about in this order."""
    return Index(None, "hour", postgresql_using="brin")
