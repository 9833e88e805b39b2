"""`python -m benchmarks.list_queries`: explains ListJobs and CountJobs at a million jobs, each filter by itself.

Every index on a tenant's jobs costs the archiver a write a job, so each has to earn it: beside the time of a query
stands its time without each index that it used (dropped in a transaction that is rolled back).
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from benchmarks.machine import describe_machine
from stoflow_orchestrator.lifecycle import JobState
from stoflow_orchestrator.migrations.runner import tenant_schema, upgrade_public, upgrade_tenant
from stoflow_orchestrator.repositories.database import create_migration_engine
from stoflow_orchestrator.repositories.job import count_jobs_statement, list_jobs_statement
from stoflow_orchestrator.repositories.job_filter import JobFilter
from stoflow_sandbox.servers import PostgresServer

FILE = Path("benchmarks/results/list_queries.json")
TENANT = 1
ARCHIVED_JOBS = 1_000_000
# Of this tenant and of all: what other tenants have waiting must not matter.
ALL_LIVE_JOBS = 200_000
LIVE_JOBS = ALL_LIVE_JOBS // 4
PAGE_SIZE = 50
RUNS = 3
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
SPAN = timedelta(days=730)

# One tenant's two years. A job's id sorts by its creation, as those made by the orchestrator do.
_FUNCTIONS = """
    CREATE FUNCTION job_id_at(at timestamptz, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
        SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3)
                || '8' || substr(md5(n::text), 4, 15))::uuid $$;
    CREATE FUNCTION some_id(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
        SELECT md5(kind || n)::uuid $$;
    CREATE FUNCTION some_marketplace(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE WHEN n % 1000 = 0 THEN 'etsy' WHEN n % 10 = 0 THEN 'vinted' ELSE 'ebay' END $$;
    CREATE FUNCTION some_action(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE WHEN n % 1000 = 1 THEN 'sync' WHEN n % 20 = 2 THEN 'delete' WHEN n % 2 = 0 THEN 'update'
                    ELSE 'publish' END $$;"""

_ARCHIVED = sql.SQL("""
    INSERT INTO {jobs} (job_id, sequence, marketplace, account_id, product_id, batch_id, site, action,
        manifest_version, assignment, is_duplicate, priority, max_retries, state, run, task_position,
        event_sequence, expire_time, create_time, queue_time, start_time, finish_time)
    SELECT job_id_at(at, n), n, some_marketplace(n),
           some_id('account', CASE WHEN n %% 1000 = 0 THEN 99 WHEN n %% 10 = 0 THEN 10 + n / 10 %% 3 ELSE n %% 6 END),
           some_id('product', n * 7919 %% 100000),
           CASE WHEN n %% 2 = 0 THEN some_id('batch', n / 10000) END, 'EBAY_US', some_action(n), '1',
           decode(repeat(md5(n::text), 40), 'hex'), false, 3, 3,
           CASE WHEN n %% 1000 = 3 THEN 'EXPIRED' WHEN n %% 100 = 4 THEN 'CANCELLED' WHEN n %% 50 = 5 THEN 'FAILED'
                ELSE 'COMPLETED' END,
           1, 4, 12, at + interval '1 day', at, at, at, at + interval '1 minute'
      FROM generate_series(1, %(count)s::bigint) AS n,
           LATERAL (SELECT %(begin)s + %(span)s * n / %(count)s AS at) AS t""")

_LIVE = """
    INSERT INTO public.live_jobs (job_id, tenant_id, marketplace, account_id, product_id, batch_id, site, action,
        manifest_version, assignment, priority, max_retries, state, wait_reason, run, task_position, event_sequence,
        next_time, expire_time, create_time, queue_time, admit_time, start_time)
    SELECT job_id_at(at, n), CASE WHEN n %% 4 = 0 THEN %(tenant)s ELSE 2 + n %% 100 END, some_marketplace(n),
           some_id('account', n %% 6 + CASE WHEN n %% 4 = 0 THEN 0 ELSE 1000 + n %% 100 END),
           some_id('product', n * 7919 %% 100000),
           CASE WHEN n %% 2 = 0 THEN some_id('batch', 1000 + n / 10000) END, 'EBAY_US',
           -- No two live jobs do the same thing.
           some_action(n) || n / 100000, '1', decode(repeat(md5(n::text), 12), 'hex'), 3, 3,
           CASE WHEN n %% 2500 = 0 THEN 'RUNNING' WHEN n %% 100 = 1 THEN 'PAUSED' ELSE 'PENDING' END,
           CASE WHEN n %% 100 = 2 THEN 'RATE_LIMITED' WHEN n %% 1000 = 3 THEN 'NEEDS_HUMAN' END, 1, 0, 1,
           at, at + interval '1 day', at, at, CASE WHEN n %% 2500 = 0 THEN at END,
           CASE WHEN n %% 2500 = 0 THEN at END
      FROM generate_series(1, %(count)s::bigint) AS n,
           LATERAL (SELECT %(begin)s + interval '1 second' * n AS at) AS t
        ON CONFLICT DO NOTHING"""


@dataclass(frozen=True, slots=True)
class Query:
    """One call."""

    name: str
    narrow: JobFilter
    is_count: bool = False
    # Behind this job; None for the first page.
    before: UUID | None = None

    def statement(self) -> sql.Composed:
        schema = tenant_schema(TENANT)
        if self.is_count:
            return count_jobs_statement(schema, self.narrow)
        return list_jobs_statement(schema, self.narrow, is_continued=self.before is not None)

    def parameters(self) -> dict[str, Any]:
        page = {"tenant_id": TENANT, "limit": PAGE_SIZE + 1, "before_job_id": self.before}
        return {**self.narrow.parameters(), **page}


@dataclass(slots=True)
class Figure:
    """What PostgreSQL did."""

    milliseconds: float
    pages: int
    indexes: list[str]
    text: str
    without: dict[str, float] = field(default_factory=dict)


def main() -> None:
    """Fills a database of its own, explains every query, writes the result."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="list-queries-") as folder,
        PostgresServer(Path(folder) / "data") as server,
    ):
        url = server.create_database("list_queries")
        _migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            _fill(connection)
            print(f"filled in {time.monotonic() - began:.0f} s")
            figures = {query.name: _measure(connection, query) for query in _queries(connection)}
            sizes = _index_sizes(connection)
    for name, figure in figures.items():
        print(f"\n{name}: {figure.milliseconds:.1f} ms, {figure.pages} pages")
        print(figure.text)
    _show(figures)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(_content(figures, sizes), indent=2) + "\n")
    print(f"\nwritten: {FILE}, {time.monotonic() - began:.0f} s")


def _migrate(url: str) -> None:
    engine = create_migration_engine(url)
    upgrade_public(engine)
    upgrade_tenant(engine, TENANT)
    engine.dispose()


def _fill(connection: psycopg.Connection[Any]) -> None:
    connection.execute("SET synchronous_commit = off")
    connection.execute("SET maintenance_work_mem = '256MB'")
    connection.execute(_FUNCTIONS)
    jobs = sql.Identifier(tenant_schema(TENANT), "marketplace_jobs")
    archived = {"count": ARCHIVED_JOBS, "begin": BEGIN, "span": SPAN}
    # Far quicker to build than to keep up.
    indexes = _drop_secondary_indexes(connection)
    connection.execute(_ARCHIVED.format(jobs=jobs), archived)
    for definition in indexes:
        connection.execute(definition)
    live = {"count": ALL_LIVE_JOBS, "tenant": TENANT, "begin": BEGIN + SPAN}
    connection.execute(_LIVE, live)
    connection.execute(sql.SQL("VACUUM ANALYZE {}").format(jobs))
    connection.execute("VACUUM ANALYZE public.live_jobs")


def _drop_secondary_indexes(connection: psycopg.Connection[Any]) -> list[str]:
    rows = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'marketplace_jobs' AND indexname LIKE 'ix_%'"
    ).fetchall()
    for name, _ in rows:
        connection.execute(_drop(connection, name))
    return [definition for _, definition in rows]


def _queries(connection: psycopg.Connection[Any]) -> Iterator[Query]:
    account, rare_account, product, batch = (
        _value(connection, "SELECT some_id(%s, %s)", kind, n)
        for kind, n in (("account", 3), ("account", 99), ("product", 4711), ("batch", 50))
    )
    middle = _value(connection, "SELECT job_id_at(%s, 0)", BEGIN + SPAN / 2)
    narrows = {
        "nothing": JobFilter(),
        "state FAILED": JobFilter(states=[JobState.FAILED]),
        "states FAILED, EXPIRED": JobFilter(states=[JobState.FAILED, JobState.EXPIRED]),
        "state PENDING": JobFilter(states=[JobState.PENDING]),
        "marketplace, most": JobFilter(marketplace="ebay"),
        "marketplace, few": JobFilter(marketplace="etsy"),
        "marketplace, none": JobFilter(marketplace="nowhere"),
        "action, most": JobFilter(action="publish"),
        "action, few": JobFilter(action="sync"),
        "action, none": JobFilter(action="none"),
        "account, many": JobFilter(account_id=account),
        "account, few": JobFilter(account_id=rare_account),
        "account, none": JobFilter(account_id=batch),
        "product": JobFilter(product_id=product),
        "batch": JobFilter(batch_id=batch),
        "wait reason": JobFilter(wait_reason="NEEDS_HUMAN"),
        "a day long ago": JobFilter(
            create_time_from=BEGIN + timedelta(days=30), create_time_to=BEGIN + timedelta(days=31)
        ),
        "until long ago": JobFilter(create_time_to=BEGIN + timedelta(days=30)),
        "account and state": JobFilter(account_id=account, states=[JobState.FAILED]),
        "few of all": JobFilter(
            account_id=account,
            action="delete",
            states=[JobState.FAILED, JobState.CANCELLED],
            create_time_from=BEGIN + SPAN / 2,
        ),
        "marketplace and action": JobFilter(marketplace="etsy", action="delete"),
    }
    for name, narrow in narrows.items():
        yield Query(f"list: {name}", narrow)
    for name in ("nothing", "marketplace, most", "account, many", "state FAILED"):
        yield Query(f"list, page in the middle: {name}", narrows[name], before=middle)
    for name in (
        "nothing",
        "state FAILED",
        "marketplace, few",
        "account, many",
        "product",
        "batch",
        "a day long ago",
    ):
        yield Query(f"count: {name}", narrows[name], is_count=True)


def _value(connection: psycopg.Connection[Any], statement: str, *parameters: object) -> Any:
    row = connection.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0]


def _measure(connection: psycopg.Connection[Any], query: Query) -> Figure:
    figure = _explain(connection, query)
    for index in figure.indexes:
        if index.startswith("pk_"):
            continue
        with connection.transaction(force_rollback=True):
            connection.execute(_drop(connection, index))
            figure.without[index] = _explain(connection, query).milliseconds
    return figure


def _drop(connection: psycopg.Connection[Any], index: str) -> sql.Composed:
    schema = _value(connection, "SELECT schemaname FROM pg_indexes WHERE indexname = %s", index)
    return sql.SQL("DROP INDEX {}").format(sql.Identifier(schema, index))


def _explain(connection: psycopg.Connection[Any], query: Query) -> Figure:
    prefix = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ")
    plans = [
        connection.execute(prefix + query.statement(), query.parameters(), prepare=False).fetchall()[0][0][0]
        for _ in range(RUNS)
    ]
    plan = plans[-1]["Plan"]
    lines = list(_lines(plan, 0))
    return Figure(
        statistics.median(one["Planning Time"] + one["Execution Time"] for one in plans),
        plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
        sorted({node["Index Name"] for node in _nodes(plan) if "Index Name" in node}),
        "\n".join(lines),
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _lines(plan: dict[str, Any], depth: int) -> Iterator[str]:
    parts = [plan["Node Type"], plan.get("Index Name", ""), plan.get("Relation Name", "")]
    removed = plan.get("Rows Removed by Filter", 0)
    counts = f"{plan['Actual Rows']:.0f} rows" + (f", {removed} removed" if removed else "")
    condition = plan.get("Index Cond") or plan.get("Filter") or ""
    yield "  " * (depth + 1) + " ".join(part for part in parts if part) + f" ({counts}) {condition}".rstrip()
    for child in plan.get("Plans", ()):
        yield from _lines(child, depth + 1)


def _index_sizes(connection: psycopg.Connection[Any]) -> dict[str, float]:
    rows = connection.execute(
        "SELECT indexrelname, pg_relation_size(indexrelid) FROM pg_stat_user_indexes "
        "WHERE relname = 'marketplace_jobs' ORDER BY 1"
    )
    return {name: round(size / 2**20, 1) for name, size in rows.fetchall()}


def _show(figures: dict[str, Figure]) -> None:
    print("\nquery: ms, pages; ms without the index")
    for name, figure in figures.items():
        without = ", ".join(f"{index} {ms:.1f}" for index, ms in figure.without.items())
        print(f"{name:48} {figure.milliseconds:8.1f} {figure.pages:7}  {without}")


def _content(figures: dict[str, Figure], sizes: dict[str, float]) -> dict[str, Any]:
    return {
        "machine": describe_machine(),
        "jobs": {"archived": ARCHIVED_JOBS, "live": LIVE_JOBS, "live_of_all_tenants": ALL_LIVE_JOBS},
        "page_size": PAGE_SIZE,
        "index_mib": sizes,
        "queries": {
            name: {
                "milliseconds": round(figure.milliseconds, 2),
                "pages": figure.pages,
                "indexes": figure.indexes,
                "milliseconds_without": {index: round(ms, 2) for index, ms in figure.without.items()},
                "plan": figure.text.splitlines(),
            }
            for name, figure in figures.items()
        },
    }


if __name__ == "__main__":
    main()
