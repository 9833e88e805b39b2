"""How much an idle system asks its database."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import psycopg

from benchmarks.contenders.stoflow import StoFlow
from benchmarks.servers import Servers
from benchmarks.usage import Meter

IDLE_SECONDS = 30.0
SETTLE_SECONDS = 5.0
DATABASE = "stoflow_idle"
# The log line of one statement, by the prefix of the embedded server; the simple and the extended protocol.
_STATEMENT = re.compile(rb"\] " + DATABASE.encode() + rb" LOG:  (?:statement|execute [^:]*):\s+(\w+)")
_BOUNDARIES = {b"BEGIN", b"COMMIT", b"ROLLBACK"}


async def measure_idle(servers: Servers, seconds: float = IDLE_SECONDS) -> dict[str, Any]:
    """Counts the statements of one orchestrator with one idle connector, from PostgreSQL's own log."""
    stoflow = StoFlow(servers, database=DATABASE)
    with psycopg.connect(servers.postgres.database_url("postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {DATABASE} SET log_statement = 'all'")
    await stoflow.start()
    try:
        stoflow.shops = await stoflow.open_shops(1, 10)
        await stoflow.run_calls(10, 4)
        await asyncio.sleep(SETTLE_SECONDS)
        log = servers.postgres.log
        start = log.stat().st_size
        with Meter({**servers.roles, **stoflow.roles}) as meter:
            await asyncio.sleep(seconds)
        with log.open("rb") as file:
            file.seek(start)
            words = _STATEMENT.findall(file.read())
    finally:
        await stoflow.stop()
    statements = [word for word in words if word.upper() not in _BOUNDARIES]
    return {
        "queries_per_second": round(len(statements) / seconds, 2),
        "with_begin_and_commit_per_second": round(len(words) / seconds, 2),
        "seconds": seconds,
        "unit": "queries/s",
        "bound": meter.usage.bound(),
        "usage": meter.usage.to_json(),
    }
