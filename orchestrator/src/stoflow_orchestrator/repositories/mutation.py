"""Request ids that were used."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Uuid, any_, bindparam, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.tenancy import MutationRequest

_FIND_ALL = select(
    MutationRequest.request_id,
    MutationRequest.method,
    MutationRequest.body_sha256,
    MutationRequest.result_id,
).where(
    MutationRequest.tenant_id == bindparam("of_tenant"),
    MutationRequest.request_id == any_(bindparam("request_ids", type_=ARRAY(Uuid()))),
)


@dataclass(frozen=True, slots=True)
class Mutation:
    """A mutation as its request_id remembers it.

    Attributes:
        tenant_id: 0 for mutations outside any tenant.
        request_id: Chosen by the caller.
        method: Full name of the request message.
        body_sha256: Digest of the request.
        result_id: What the mutation made.
    """

    tenant_id: int
    request_id: UUID
    method: str
    body_sha256: bytes
    result_id: str


class MutationRepository:
    """Statements on public.mutation_requests."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def claim(self, mutation: Mutation) -> Mutation | None:
        """Records a mutation, unless its request_id was used before.

        A concurrent transaction with the same request_id is waited for: the primary key puts them in a row.

        Returns:
            None when it was recorded just now, else the mutation recorded first.
        """
        inserted = await self._connection.execute(
            insert(MutationRequest)
            .values(
                tenant_id=mutation.tenant_id,
                request_id=mutation.request_id,
                method=mutation.method,
                body_sha256=mutation.body_sha256,
                result_id=mutation.result_id,
            )
            .on_conflict_do_nothing()
            .returning(MutationRequest.request_id)
        )
        if inserted.first() is not None:
            return None
        return await self.find(mutation.tenant_id, mutation.request_id)

    async def find(self, tenant_id: int, request_id: UUID) -> Mutation | None:
        """Returns the mutation that used a request_id."""
        found = await self._connection.execute(
            select(MutationRequest.method, MutationRequest.body_sha256, MutationRequest.result_id).where(
                MutationRequest.tenant_id == tenant_id, MutationRequest.request_id == request_id
            )
        )
        row = found.first()
        if row is None:
            return None
        return Mutation(tenant_id, request_id, row.method, row.body_sha256, row.result_id)

    async def find_all(self, tenant_id: int, request_ids: Collection[UUID]) -> dict[UUID, Mutation]:
        """Returns the mutations of a tenant that used these request_ids."""
        found = await self._connection.execute(
            _FIND_ALL, {"of_tenant": tenant_id, "request_ids": list(request_ids)}
        )
        return {row.request_id: Mutation(tenant_id, *row) for row in found}

    async def set_result(self, mutation: Mutation, result_id: str) -> None:
        """Completes a mutation claimed in this transaction whose result was not known then."""
        await self._connection.execute(
            update(MutationRequest)
            .where(
                MutationRequest.tenant_id == mutation.tenant_id,
                MutationRequest.request_id == mutation.request_id,
            )
            .values(result_id=result_id)
        )
