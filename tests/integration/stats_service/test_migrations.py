"""The schema comes into being once, whoever starts first."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from stoflow_service_kit.database import create_sync_database_engine
from stoflow_stats_service.migrations.runner import migrate
from stoflow_stats_service.models import SCHEMA, Base


def tables(database_url: str, schema: str) -> set[str]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema]
        ).fetchall()
    return {row[0] for row in rows}


def test_replicas_may_migrate_at_once(database_url: str) -> None:
    """Four replicas that start together all succeed, and everything is in the schema `stats`."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, [database_url] * 4))
    migrate(database_url)
    assert tables(database_url, "stats") == {
        "alembic_version",
        "counted_events",
        "marketplace_job_stats",
        "marketplace_task_stats",
        "marketplace_error_stats",
        "generations",
        "reconciled_days",
    }
    assert tables(database_url, "public") == set()


def test_migrations_and_models_agree(database_url: str) -> None:
    """A migrated database differs in nothing from the models, checks and collations included."""
    migrate(database_url)
    engine = create_sync_database_engine(database_url, "test")
    with engine.begin() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "version_table_schema": SCHEMA,
                "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA,
            },
        )
        assert compare_metadata(context, Base.metadata) == []
        migrated = constraints(connection.connection.dbapi_connection)  # type: ignore[arg-type]
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA stats CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA stats")
        Base.metadata.create_all(connection)
        # Alembic compares no checks and no collations, so both are read from the catalogue.
        assert constraints(connection.connection.dbapi_connection) == migrated  # type: ignore[arg-type]
    engine.dispose()


def constraints(connection: psycopg.Connection[tuple[str, ...]]) -> set[tuple[str, ...]]:
    checks = connection.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'stats'::regnamespace AND conrelid <> coalesce("
        "to_regclass('stats.alembic_version'), 0::regclass)"
    ).fetchall()
    columns = connection.execute(
        "SELECT table_name::text, column_name::text, collation_name::text FROM information_schema.columns"
        " WHERE table_schema = 'stats' AND table_name <> 'alembic_version'"
    ).fetchall()
    return {*checks, *columns}


def test_the_command_migrates(database_url: str) -> None:
    """`python -m stoflow_stats_service migrate` needs the database's address alone and may be repeated."""
    environment = {**os.environ, "DATABASE_URL": database_url}
    environment.pop("NATS_URL", None)
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-m", "stoflow_stats_service", "migrate"],
            env=environment,
            check=True,
            capture_output=True,
            timeout=60,
        )
    assert "marketplace_job_stats" in tables(database_url, "stats")


def test_a_wrong_command_line_is_refused() -> None:
    """An unknown command ends with the usage and exit code 2."""
    ended = subprocess.run(
        [sys.executable, "-m", "stoflow_stats_service", "migrat"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert "usage: stoflow-stats-service" in ended.stderr
    assert "{migrate}" in ended.stderr


def test_missing_settings_are_named_at_once() -> None:
    """Without addresses the service ends with code 2 and names every variable with what it expects."""
    environment = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "NATS_URL"}}
    ended = subprocess.run(
        [sys.executable, "-m", "stoflow_stats_service"],
        env={**environment, "EVENT_ACK_WAIT_SECONDS": "soon"},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    for expected in ("DATABASE_URL is not set", "NATS_URL is not set", "EVENT_ACK_WAIT_SECONDS is malformed"):
        assert expected in ended.stderr
