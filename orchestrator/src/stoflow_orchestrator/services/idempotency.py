"""Mutations that may be repeated: the same request_id and body get the first answer."""

from __future__ import annotations

import hashlib
from uuid import UUID

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.repositories.mutation import Mutation, MutationRepository
from stoflow_service_kit.errors import AlreadyExistsError


def describe_mutation(
    tenant_id: int, request_id: str, request: Message, result_id: str, attachment: bytes = b""
) -> Mutation:
    """Describes a mutation before it is tried.

    Args:
        tenant_id: 0 for mutations outside any tenant.
        request_id: The request's own.
        request: The whole request.
        result_id: What the mutation will have made if it is the first with this request_id.
        attachment: Digest of what came beside the request, such as a file.
    """
    method = request.DESCRIPTOR.full_name
    body = request.SerializeToString(deterministic=True)
    digest = hashlib.sha256(len(body).to_bytes(8) + body + attachment).digest()
    return Mutation(tenant_id, UUID(request_id), method, digest, result_id)


async def claim_mutation(connection: AsyncConnection, mutation: Mutation) -> str | None:
    """Records the mutation in the caller's transaction, before anything else is decided about it.

    Returns:
        None if the caller is to carry the mutation out, else the result_id of the first time.

    Raises:
        AlreadyExistsError: REQUEST_ID_REUSED, for another body under the same request_id.
    """
    first = await MutationRepository(connection).claim(mutation)
    return None if first is None else repeated_result(mutation, first)


def repeated_result(mutation: Mutation, first: Mutation) -> str:
    """Returns the first result of a repeated mutation.

    Raises:
        AlreadyExistsError: REQUEST_ID_REUSED, if it is not the same mutation.
    """
    if (mutation.method, mutation.body_sha256) != (first.method, first.body_sha256):
        raise AlreadyExistsError(
            "This request_id was used before with another body; choose a new one.",
            reason="REQUEST_ID_REUSED",
            metadata={"request_id": str(mutation.request_id)},
        )
    return first.result_id
