"""Upgrades the schema `stats`; safe to run again, and from several replicas at once."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from stoflow_service_kit.database import create_sync_database_engine
from stoflow_stats_service.models import SCHEMA

# Any constant will do that no other program locks in the same database: "STAT" in ASCII.
LOCK_KEY = 0x53544154
# A migration that waits for a table holds up everybody behind it: rather it fails and is tried again.
LOCK_TIMEOUT = "5s"


def migrate(database_url: str) -> None:
    """Brings the schema to the newest revision, in one transaction."""
    engine = create_sync_database_engine(database_url, "stats-service-migrations")
    try:
        with engine.begin() as connection:
            # Replicas start together: the second waits here and then finds the work done.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            # Alembic's version table lives in the schema, so the schema comes first.
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            command.upgrade(alembic_config(connection), "head")
    finally:
        engine.dispose()


def alembic_config(connection: Connection) -> Config:
    """Returns Alembic's configuration for the scripts of this package."""
    config = Config()
    # set_main_option reads % as interpolation, and a path may hold one.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
