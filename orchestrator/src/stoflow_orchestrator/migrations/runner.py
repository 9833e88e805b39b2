"""Upgrades `public` and the schemas of tenants; safe to run again, and from several processes at once.

Each schema carries its own Alembic version row and is upgraded in one transaction of its own, so an upgrade
of thousands of tenants that stops in the middle goes on where it stopped. lock_timeout keeps a migration from
queueing in front of a tenant's live traffic: it fails, and is tried again.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from stoflow_orchestrator.migrations.seeding import seed_reference
from stoflow_orchestrator.models import (
    admission,
    batch,
    catalog,
    connection,
    connector,
    history,
    listing_update,
    live,
    reference,
    results,
    session,
    tenancy,
)
from stoflow_orchestrator.models.base import TENANT_SCHEMA, PublicBase, TenantBase

__all__ = ["head_revision", "tenant_schema", "upgrade_public", "upgrade_tenant"]

# Imported so that every table is known to its metadata.
MODELS = (
    admission,
    batch,
    catalog,
    connection,
    connector,
    history,
    listing_update,
    live,
    reference,
    results,
    session,
    tenancy,
)
LOCK_TIMEOUT = "5s"
# Any constant will do; it serializes processes that start at the same moment.
PUBLIC_LOCK_KEY = 0x53544F46
History = Literal["public", "tenant"]

# Alembic keeps the context of the running upgrade in module globals, so that two threads at once would run one
# tenant's migration in the other's schema.
_one_at_a_time = threading.Lock()


def tenant_schema(tenant_id: int) -> str:
    """Names the schema of a tenant."""
    return f"user_{tenant_id}"


def head_revision(which: History) -> str:
    """Returns the newest revision of a history."""
    head = ScriptDirectory.from_config(_alembic_config(which)).get_current_head()
    if head is None:
        raise RuntimeError(f"the {which} history has no revision")
    return head


def upgrade_public(engine: Engine) -> None:
    """Brings `public` to the newest revision, and the reference data to the newest seed."""
    with _one_at_a_time, engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": PUBLIC_LOCK_KEY})
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        _upgrade(connection, "public", "public")
        seed_reference(connection)


def upgrade_tenant(engine: Engine, tenant_id: int) -> None:
    """Creates a tenant's schema where it is missing and brings it to the newest revision."""
    schema = tenant_schema(tenant_id)
    with _one_at_a_time, engine.begin() as connection:
        # Two processes may provision one tenant at once; the second finds the work done.
        connection.execute(
            text("SELECT pg_advisory_xact_lock(:key, hashtext(:name))"), {"key": 1, "name": schema}
        )
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
        translated = connection.execution_options(schema_translate_map={TENANT_SCHEMA: schema})
        _upgrade(translated, "tenant", schema)


def _upgrade(connection: Connection, which: History, schema: str) -> None:
    config = _alembic_config(which)
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    config.attributes["metadata"] = (PublicBase if which == "public" else TenantBase).metadata
    command.upgrade(config, "head")


def _alembic_config(which: History) -> Config:
    config = Config()
    # set_main_option reads % as interpolation, and a path may hold one.
    location = str(Path(__file__).parent / which).replace("%", "%%")
    config.set_main_option("script_location", location)
    config.set_main_option("path_separator", "os")
    return config
