"""Forgets consents whose time is over, with their secrets and the accounts that were never connected."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from stoflow_orchestrator.repositories.connection import ConnectionRepository
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.services.connections import forget_consent
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

TICK_SECONDS = 10.0
CONSENTS_A_TICK = 100


class ConnectionExpiry:
    """Looks every ten seconds. Several orchestrators may: each consent is taken by one of them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run(self) -> None:
        """Serves for ever."""
        while True:
            await self._clock.sleep(TICK_SECONDS)
            try:
                while await self.tick() == CONSENTS_A_TICK:
                    pass
            except Exception:
                # Mostly an outage of the database: whatever is over stays over.
                log.exception("connection_expiry_failed")

    async def tick(self) -> int:
        """Forgets what is over now; returns how many consents that were."""
        async with self._database.public_transaction() as connection:
            expired = await ConnectionRepository(connection).list_expired(CONSENTS_A_TICK)
        for row in expired:
            await self._forget(row)
        return len(expired)

    async def _forget(self, row: Row[Any]) -> None:
        async with self._database.tenant_transaction(row.tenant_id) as connection:
            if await ConnectionRepository(connection).lock_expired(row.connection_id):
                await forget_consent(connection, row)
                log.info("consent_expired", tenant_id=row.tenant_id, account_id=str(row.account_id))
