"""Time passes for the engine by everything that it remembers growing older."""

from __future__ import annotations

from functools import cache
from typing import LiteralString

from psycopg import sql

# Every column of these that holds a time; the test beside this compares them with the models.
PUBLIC_COLUMNS: dict[LiteralString, tuple[LiteralString, ...]] = {
    "live_jobs": (
        "not_before_time",
        "next_time",
        "expire_time",
        "create_time",
        "queue_time",
        "admit_time",
        "start_time",
        "finish_time",
    ),
    "live_tasks": ("dispatch_time", "lease_expire_time", "deadline_time", "start_time", "finish_time"),
    "live_events": ("occur_time",),
    "effects": ("last_send_time", "update_time"),
    "outbox": ("create_time",),
    "connector_instances": ("expire_time",),
    "account_gates": ("connect_time", "connect_until", "rate_limit_time"),
}
TENANT_COLUMNS: dict[LiteralString, tuple[LiteralString, ...]] = {
    "marketplace_jobs": (
        "not_before_time",
        "expire_time",
        "create_time",
        "queue_time",
        "start_time",
        "finish_time",
    ),
    "marketplace_tasks": ("start_time", "finish_time"),
    "job_events": ("occur_time",),
}
# No decision about a job depends on these.
UNMOVED = {
    "account_gates.pause_time",
    "connector_instances.drain_time",
    "connector_instances.register_time",
}


@cache
def travel_statement(tenant_schema: str, *, with_connectors: bool) -> bytes:
    """Makes the one statement that lets time pass, by the seconds of its parameter `seconds`.

    Args:
        tenant_schema: Whose history grows older as well.
        with_connectors: Whether registrations run out; otherwise their connectors have kept them up.
    """
    updates = [
        _update("public", table, columns)
        for table, columns in PUBLIC_COLUMNS.items()
        if with_connectors or table != "connector_instances"
    ]
    updates += [_update(tenant_schema, table, columns) for table, columns in TENANT_COLUMNS.items()]
    parts = [sql.SQL("t{} AS ({})").format(sql.Literal(n), update) for n, update in enumerate(updates)]
    return sql.SQL("WITH {} SELECT 1").format(sql.SQL(", ").join(parts)).as_bytes()


def _update(schema: str, table: LiteralString, columns: tuple[LiteralString, ...]) -> sql.Composed:
    older = [
        sql.SQL("{0} = {0} - make_interval(secs => %(seconds)s)").format(sql.Identifier(column))
        for column in columns
    ]
    return sql.SQL("UPDATE {} SET {}").format(sql.Identifier(schema, table), sql.SQL(", ").join(older))
