"""What the service answers, and what the plain script counts, in one shape; percentiles are compared within 1 %."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from stoflow.common.v1 import failure_pb2
from stoflow.events.v1 import event_pb2
from stoflow.stats.v1 import stats_pb2, stats_service_pb2, stats_service_pb2_grpc

from stoflow_service_kit.grpc_channel import open_channel

SCRIPT = Path(__file__).with_name("plain_count.py")
RELATIVE_ACCURACY = 0.01
_PERCENTILES = ("p50", "p95", "p99")
_SCOPES = {"RUN": stats_pb2.ERROR_SCOPE_RUN, "ATTEMPT": stats_pb2.ERROR_SCOPE_ATTEMPT}

Figures = dict[str, dict[tuple[str, ...], Any]]


def plain_count(events: Iterable[event_pb2.Event]) -> Figures:
    """Runs the script, in a process that cannot import anything of the project."""
    lines = (json.dumps(json_format.MessageToDict(event)) for event in events)
    ended = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    figures: dict[str, list[list[Any]]] = json.loads(ended.stdout)
    return {kind: {tuple(key): row for *key, row in rows} for kind, rows in figures.items()}


async def answered(address: str, tenants: Iterable[int], start: datetime, end: datetime) -> Figures:
    """Asks the service for everything, by hour."""
    found: Figures = {"runs": {}, "attempts": {}, "errors": {}}
    async with open_channel(address) as channel:
        stub: Any = stats_service_pb2_grpc.StatsServiceStub(channel)
        for tenant_id in tenants:
            window: dict[str, Any] = {"tenant_id": tenant_id, "start_time": start, "end_time": end}
            hourly = {**window, "granularity": stats_pb2.GRANULARITY_HOUR}
            runs = await stub.GetMarketplaceStats(
                stats_service_pb2.GetMarketplaceStatsRequest(**hourly), timeout=60
            )
            for row in runs.stats:
                found["runs"][_key(tenant_id, row)] = _run_row(row)
            tasks = await stub.GetTaskStats(stats_service_pb2.GetTaskStatsRequest(**hourly), timeout=60)
            for row in tasks.stats:
                found["attempts"][_key(tenant_id, row, row.task_name)] = _attempt_row(row)
            for name, scope in _SCOPES.items():
                await _add_errors(stub, window, name, scope, found["errors"])
    return found


async def _add_errors(
    stub: Any, window: dict[str, Any], name: str, scope: Any, errors: dict[Any, Any]
) -> None:
    token = ""
    while True:
        request = stats_service_pb2.ListErrorsRequest(**window, scope=scope, page_size=3, page_token=token)
        page = await stub.ListErrors(request, timeout=60)
        for row in page.errors:
            error_class = failure_pb2.ErrorClass.Name(row.error_class)
            errors[str(window["tenant_id"]), row.marketplace, row.action, name, error_class, row.code] = (
                row.count
            )
        token = page.next_page_token
        if not token:
            return


def _key(tenant_id: int, row: Any, *names: str) -> tuple[str, ...]:
    time = row.period_start_time.ToDatetime().strftime("%Y-%m-%dT%H:%M:%SZ")
    return (str(tenant_id), row.marketplace, row.action, *names, time)


def _run_row(row: Any) -> dict[str, Any]:
    return {
        "total": row.total_count,
        "success": row.success_count,
        "failure": row.failure_count,
        "cancelled": row.cancelled_count,
        "expired": row.expired_count,
        "retried": row.retried_count,
        "success_rate": row.success_rate if row.HasField("success_rate") else None,
        "run": _measured(row.run_duration) if row.HasField("run_duration") else None,
        "queue": _measured(row.queue_duration) if row.HasField("queue_duration") else None,
    }


def _attempt_row(row: Any) -> dict[str, Any]:
    return {
        "total": row.attempt_count,
        "completed": row.completed_count,
        "retried": row.retried_count,
        "failed": row.failed_count,
        "duration": _measured(row.duration) if row.HasField("duration") else None,
    }


def _measured(stats: stats_pb2.DurationStats) -> dict[str, int]:
    names = ("total", "min", "max", *_PERCENTILES)
    return {"count": stats.count, **{name: getattr(stats, name).ToMicroseconds() for name in names}}


def assert_same(found: Figures, expected: Figures) -> None:
    """Every key and figure is equal, percentiles within 1 %."""
    for kind, rows in expected.items():
        assert found[kind].keys() == rows.keys(), kind
        for key, row in rows.items():
            if isinstance(row, int):
                assert found[kind][key] == row, (kind, key)
            else:
                _assert_row(found[kind][key], row, f"{kind} {key}")


def _assert_row(found: dict[str, Any], expected: dict[str, Any], where: str) -> None:
    assert found.keys() == expected.keys(), where
    for name, value in expected.items():
        if isinstance(value, dict):
            assert found[name] is not None, (where, name)
            _assert_row(found[name], value, f"{where} {name}")
        elif name in _PERCENTILES:
            assert abs(found[name] - value) <= max(value, 1) * RELATIVE_ACCURACY + 1, (where, name)
        else:
            assert found[name] == value, (where, name)
