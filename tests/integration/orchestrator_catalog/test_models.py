"""What the migrations make is what the models describe."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData

from stoflow_orchestrator.migrations.runner import tenant_schema, upgrade_public, upgrade_tenant
from stoflow_orchestrator.models.base import PublicBase, TenantBase
from stoflow_orchestrator.repositories.database import create_migration_engine

TENANT = 7


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database with one tenant, migrated."""
    engine = create_migration_engine(database_url)
    upgrade_public(engine)
    upgrade_tenant(engine, TENANT)
    yield engine
    engine.dispose()


def _differences(engine: Engine, schema: str, metadata: MetaData) -> list[object]:
    def is_compared(name: str | None, kind: str, _parents: object) -> bool:
        if kind == "schema":
            # SQLAlchemy's own inspection calls the default schema None, and the models name it.
            return name == schema
        return not (kind == "table" and name == "alembic_version")

    with engine.connect() as connection:
        options = {"include_schemas": True, "include_name": is_compared, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        # The default schema would be compared under the name None.
        connection.dialect.default_schema_name = "no_such_schema"
        differences: list[object] = compare_metadata(context, metadata)
        return differences


def test_public_tables_are_as_the_models_say(engine: Engine) -> None:
    """No table, column, index or unique key of `public` differs."""
    assert _differences(engine, "public", PublicBase.metadata) == []


def test_tenant_tables_are_as_the_models_say(engine: Engine) -> None:
    """No table, column, index or unique key of a tenant differs."""
    schema = tenant_schema(TENANT)
    metadata = MetaData(naming_convention=TenantBase.metadata.naming_convention)
    for table in TenantBase.metadata.tables.values():
        table.to_metadata(metadata, schema=schema)
    assert _differences(engine, schema, metadata) == []


def test_missing_column_would_be_found(engine: Engine) -> None:
    """The comparison sees a column that a migration forgot."""
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE public.live_jobs DROP COLUMN is_duplicate CASCADE")
    assert _differences(engine, "public", PublicBase.metadata) != []
