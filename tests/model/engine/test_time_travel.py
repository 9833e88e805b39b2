"""Time that passes in the model passes for everything in the engine."""

from __future__ import annotations

from sqlalchemy import DateTime, Table

from stoflow_orchestrator.migrations.runner import MODELS
from stoflow_orchestrator.models.base import PublicBase, TenantBase
from tests.model.engine.time_travel import PUBLIC_COLUMNS, TENANT_COLUMNS, UNMOVED


def test_every_time_that_the_engine_remembers_moves() -> None:
    """A new column with a time is either moved or named as one that no decision about a job depends on."""
    assert MODELS
    moved = {
        f"{t}.{c}" for columns in (PUBLIC_COLUMNS, TENANT_COLUMNS) for t, cs in columns.items() for c in cs
    }
    tables = [*PublicBase.metadata.tables.values(), *TenantBase.metadata.tables.values()]
    times = {name for table in tables for name in _times(table)}
    unmoved = {name for name in UNMOVED if not name.endswith(".*")}
    whole = {name.removesuffix(".*") for name in UNMOVED if name.endswith(".*")}
    assert {name for name in times if name.partition(".")[0] not in whole} == moved | unmoved


def _times(table: Table) -> list[str]:
    return [f"{table.name}.{column.name}" for column in table.columns if isinstance(column.type, DateTime)]
