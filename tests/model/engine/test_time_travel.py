"""Time that passes in the model passes for everything in the engine."""

from __future__ import annotations

from sqlalchemy import DateTime, Table

from stoflow_orchestrator.migrations.runner import MODELS
from stoflow_orchestrator.models.base import PublicBase, TenantBase
from tests.model.engine.time_travel import PUBLIC_COLUMNS, TENANT_COLUMNS, UNMOVED


def test_every_time_that_the_engine_remembers_moves() -> None:
    """A new column with a time, beside others that move, moves or is named as one that decides nothing about a job."""
    assert MODELS
    columns = {**PUBLIC_COLUMNS, **TENANT_COLUMNS}
    moved = {f"{table}.{column}" for table, moving in columns.items() for column in moving}
    tables = [*PublicBase.metadata.tables.values(), *TenantBase.metadata.tables.values()]
    times = {name for table in tables if table.name in columns for name in _times(table)}
    assert times == moved | UNMOVED


def _times(table: Table) -> list[str]:
    return [f"{table.name}.{column.name}" for column in table.columns if isinstance(column.type, DateTime)]
