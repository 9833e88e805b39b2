"""What the migrations make is what the models describe."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData

from stoflow_orchestrator.migrations import runner
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


def test_vocabulary_of_a_used_database_is_kept(database_url: str) -> None:
    """Categories and mappings from before the one table of values are in it afterwards, beside the seed."""
    engine = create_migration_engine(database_url)
    with engine.begin() as connection:
        config = runner._alembic_config("public")
        config.attributes.update(connection=connection, schema="public", metadata=PublicBase.metadata)
        command.upgrade(config, "0002")
        connection.exec_driver_sql(
            "INSERT INTO public.categories VALUES ('garden', 'Garden'), ('toys', 'Old toys')"
        )
        connection.exec_driver_sql(
            "INSERT INTO public.marketplace_mappings (marketplace, attribute, key, value, source)"
            " VALUES ('ebay', 'category', 'garden', '1', 'operator')"
        )
    upgrade_public(engine)
    with engine.connect() as connection:
        names: dict[str, str] = dict(
            connection.exec_driver_sql(
                "SELECT key, name FROM public.reference_values WHERE attribute = 'category'"
            ).fetchall()
        )
        (mapping,) = connection.exec_driver_sql(
            "SELECT key, value FROM public.marketplace_mappings"
        ).fetchall()
    engine.dispose()
    assert (names["garden"], names["toys"], names["clothing"]) == ("Garden", "Toys", "Clothing")
    assert tuple(mapping) == ("garden", "1")
