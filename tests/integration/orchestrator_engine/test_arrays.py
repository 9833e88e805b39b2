"""Columns packed as binary arrays arrive in PostgreSQL as what they were."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from stoflow_orchestrator.repositories import arrays

TIME = datetime(2026, 1, 5, 10, 30, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pack", "type_name", "values"),
    [
        (arrays.uuids, "uuid[]", [uuid.uuid4(), None, uuid.UUID(int=0)]),
        (arrays.texts, "text[]", ["", None, "héllo, 日本", "x" * 100_000]),
        (arrays.ints, "integer[]", [0, None, -1, 2**31 - 1, -(2**31)]),
        (arrays.bigints, "bigint[]", [0, None, 2**63 - 1, -(2**63)]),
        (
            arrays.times,
            "timestamp with time zone[]",
            [
                TIME,
                None,
                TIME,
                datetime(1970, 1, 1, tzinfo=UTC),
                TIME.astimezone(timezone(timedelta(hours=5))),
                datetime(9000, 12, 31, tzinfo=UTC),
            ],
        ),
        (arrays.blobs, "bytea[]", [b"", None, b"\x00\xff", b"x" * 100_000]),
        (arrays.bools, "boolean[]", [True, None, False]),
        (arrays.floats, "double precision[]", [0.0, None, -1.5, 1e300]),
    ],
)
@pytest.mark.parametrize("count", [None, 0, 1])
def test_column_arrives_as_it_was(
    database_url: str,
    pack: Callable[[Sequence[Any]], arrays.BinaryArray],
    type_name: str,
    values: Sequence[Any],
    count: int | None,
) -> None:
    """Every type, with nulls, extremes and nothing at all, is the array that a list would have been."""
    sent = list(values[:count])
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT pg_typeof(%b)::text, %b", (pack(sent), pack(sent))).fetchone()
    assert row is not None
    assert (row[0], row[1]) == (type_name, sent)
