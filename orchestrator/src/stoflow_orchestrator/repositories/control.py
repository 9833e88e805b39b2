"""What calls about jobs need beside the live tables: request ids, and other jobs for the same thing."""

from __future__ import annotations

from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

from stoflow_orchestrator.repositories.mutation import Mutation

Connection = AsyncConnection[Any]

_CLAIM: LiteralString = """
    INSERT INTO public.mutation_requests (tenant_id, request_id, method, body_sha256, result_id)
    VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING 1"""

_FIND_CLAIMED: LiteralString = """
    SELECT tenant_id, request_id, method, body_sha256, result_id FROM public.mutation_requests
     WHERE tenant_id = %s AND request_id = %s"""

_SET_RESULT: LiteralString = """
    UPDATE public.mutation_requests SET result_id = %s WHERE tenant_id = %s AND request_id = %s"""

_FIND_TWIN: LiteralString = """
    SELECT twin.job_id FROM public.live_jobs AS twin
     WHERE twin.account_id = %s AND twin.product_id IS NOT DISTINCT FROM %s AND twin.action = %s AND twin.site = %s
       AND twin.job_id <> %s AND twin.state IN ('PENDING', 'RUNNING', 'PAUSED') AND NOT twin.is_duplicate"""


async def claim(connection: Connection, mutation: Mutation) -> Mutation | None:
    """Records a request_id; returns the mutation that used it before, if one did.

    Waits for a concurrent transaction with the same request_id.
    """
    key = (mutation.tenant_id, mutation.request_id)
    cursor = await connection.execute(
        _CLAIM, (*key, mutation.method, mutation.body_sha256, mutation.result_id)
    )
    if await cursor.fetchone() is not None:
        return None
    cursor = await connection.execute(_FIND_CLAIMED, key)
    row = await cursor.fetchone()
    return None if row is None else Mutation(*row)


async def set_result(connection: Connection, mutation: Mutation, result_id: str) -> None:
    """Completes a mutation claimed in this transaction whose result was not known then."""
    await connection.execute(_SET_RESULT, (result_id, mutation.tenant_id, mutation.request_id))


async def find_live_twin(
    connection: Connection, account_id: UUID, product_id: UUID | None, action: str, site: str, job_id: UUID
) -> UUID | None:
    """Returns another live job for the same thing."""
    cursor = await connection.execute(_FIND_TWIN, (account_id, product_id, action, site, job_id))
    row = await cursor.fetchone()
    return None if row is None else row[0]
