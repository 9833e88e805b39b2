"""Jobs that wait for their account."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_RESUME = text("""
    UPDATE public.live_jobs SET wait_reason = NULL, next_time = now()
     WHERE account_id = :account_id AND state = 'PENDING' AND wait_reason = 'ACCOUNT_RECONNECT_REQUIRED'""")


async def resume_account_jobs(connection: AsyncConnection, account_id: UUID) -> None:
    """Lets the jobs go on that wait for this account to be connected again."""
    await connection.execute(_RESUME, {"account_id": account_id})
