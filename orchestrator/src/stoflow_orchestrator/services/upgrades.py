"""Upgrades every tenant's schema, one transaction a tenant; running it again goes on where it stopped."""

from __future__ import annotations

import asyncio

from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from stoflow_orchestrator.migrations.runner import upgrade_public, upgrade_tenant
from stoflow_orchestrator.repositories.database import create_migration_engine
from stoflow_service_kit.database import wait_for_database
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)


async def upgrade_all(database_url: str) -> int:
    """Brings `public` and every tenant to the newest revision.

    Returns:
        0 when everything is up to date, 1 when some tenant could not be upgraded: run it again.
    """
    await wait_for_database(database_url)
    engine = create_migration_engine(database_url)
    try:
        return await asyncio.to_thread(_upgrade, engine)
    finally:
        engine.dispose()


def _upgrade(engine: Engine) -> int:
    upgrade_public(engine)
    with engine.connect() as connection:
        tenant_ids = list(connection.scalars(text("SELECT tenant_id FROM public.tenants ORDER BY tenant_id")))
    failed: list[int] = []
    for done, tenant_id in enumerate(tenant_ids, start=1):
        try:
            upgrade_tenant(engine, tenant_id)
        except OperationalError as error:
            # Its tables are in use just now; the others need not wait for it.
            failed.append(tenant_id)
            log.warning("tenant_upgrade_failed", tenant_id=tenant_id, error=str(error.orig))
        else:
            log.info("tenant_upgraded", tenant_id=tenant_id, done=done, of=len(tenant_ids))
    if failed:
        log.error("upgrade_incomplete", failed=failed, next_step="run migrate again")
    return 1 if failed else 0
