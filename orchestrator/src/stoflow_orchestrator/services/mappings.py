"""What marketplaces call the values of our vocabulary, as operators read and set it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection
from stoflow.catalog.v1.mapping_pb2 import MappingKey
from stoflow.catalog.v1.reference_pb2 import REFERENCE_ATTRIBUTE_SIZE
from stoflow.catalog.v1.reference_service_pb2 import (
    DeleteMappingsRequest,
    DeleteMappingsResponse,
    ImportMappingsRequest,
    ImportMappingsResponse,
    ListMappingsRequest,
    ListMappingsResponse,
)

from stoflow_orchestrator.messages.reference import ATTRIBUTE_NAMES, attribute_name, mapping_message
from stoflow_orchestrator.paging import decode_token, encode_token, fit_page, page_size
from stoflow_orchestrator.reference_keys import SCOPE_SEPARATOR
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.mapping import MappingRepository
from stoflow_orchestrator.repositories.mutation import MutationRepository
from stoflow_orchestrator.repositories.reference import ReferenceRepository
from stoflow_orchestrator.services.idempotency import claim_mutation, describe_mutation
from stoflow_orchestrator.storable import check_storable, storable_violations
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError, NotFoundError


class MappingService:
    """Reads and sets mappings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, request: ListMappingsRequest) -> ListMappingsResponse:
        """Returns a page of a marketplace's mappings, ordered by attribute and key.

        Raises:
            InvalidArgumentError: PAGE_TOKEN_INVALID.
        """
        after = decode_token(request, request.page_token, _attribute_and_key)
        size = page_size(request)
        attribute = attribute_name(request.attribute) if request.attribute else ""
        async with self._database.public_transaction() as connection:
            rows = await MappingRepository(connection).list_page(
                request.marketplace, attribute, after, size + 1
            )
        mappings = fit_page((mapping_message(request.marketplace, row) for row in rows), size)
        token = ""
        if len(mappings) < len(rows):
            last = rows[len(mappings) - 1]
            token = encode_token(request, [last.attribute, last.key])
        return ListMappingsResponse(mappings=mappings, next_page_token=token)

    async def import_mappings(self, request: ImportMappingsRequest) -> ImportMappingsResponse:
        """Sets operators' values, all or none.

        Raises:
            InvalidArgumentError: Lists every wrong mapping.
            NotFoundError: MARKETPLACE_NOT_FOUND.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        mutation = describe_mutation(0, request.request_id, request, "")
        async with self._database.public_transaction() as connection:
            counts = await claim_mutation(connection, mutation)
            if counts is None:
                created, changed = await self._import(connection, request)
                counts = f"{created} {changed}"
                await MutationRepository(connection).set_result(mutation, counts)
        created_count, changed_count = map(int, counts.split())
        return ImportMappingsResponse(created_count=created_count, changed_count=changed_count)

    @staticmethod
    async def _import(connection: AsyncConnection, request: ImportMappingsRequest) -> tuple[int, int]:
        reference = ReferenceRepository(connection)
        if await reference.find_newest_manifest(request.marketplace) is None:
            raise NotFoundError(
                f"No connector has registered the marketplace {request.marketplace!r}.",
                reason="MARKETPLACE_NOT_FOUND",
                metadata={"marketplace": request.marketplace},
            )
        violations = storable_violations(request)
        if not violations:
            violations = await _violations(reference, [entry.key for entry in request.mappings])
        if violations:
            raise InvalidArgumentError(violations)
        values = {_column_key(entry.key): entry.value for entry in request.mappings}
        return await MappingRepository(connection).import_values(request.marketplace, values)

    async def delete(self, request: DeleteMappingsRequest) -> DeleteMappingsResponse:
        """Takes operators' values back.

        Raises:
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        check_storable(request)
        mutation = describe_mutation(0, request.request_id, request, "")
        async with self._database.public_transaction() as connection:
            count = await claim_mutation(connection, mutation)
            if count is None:
                keys = {_column_key(key) for key in request.keys}
                count = str(await MappingRepository(connection).delete(request.marketplace, keys))
                await MutationRepository(connection).set_result(mutation, count)
        return DeleteMappingsResponse(deleted_count=int(count))


async def _violations(reference: ReferenceRepository, keys: Sequence[MappingKey]) -> list[FieldViolation]:
    needed = [_reference_values(key) for key in keys]
    known = await reference.find_existing({value for values in needed for value in values})
    violations: list[FieldViolation] = []
    seen: set[tuple[str, str]] = set()
    for index, (key, values) in enumerate(zip(keys, needed, strict=True)):
        field = f"mappings[{index}].key"
        if (column_key := _column_key(key)) in seen:
            violations.append(FieldViolation(field, "comes twice in this call"))
        seen.add(column_key)
        violations += [
            FieldViolation(field, f"there is no {attribute} {name!r} in the reference data")
            for attribute, name in values
            if (attribute, name) not in known
        ]
    return violations


def _reference_values(key: MappingKey) -> list[tuple[str, str]]:
    """Returns what must exist for the mapping to make sense."""
    scope, separator, size = key.key.rpartition(SCOPE_SEPARATOR)
    if key.attribute == REFERENCE_ATTRIBUTE_SIZE and separator:
        return [("category", scope), ("size", size)]
    return [_column_key(key)]


def _column_key(key: MappingKey) -> tuple[str, str]:
    return attribute_name(key.attribute), key.key


def _attribute_and_key(parts: list[str]) -> tuple[str, str]:
    attribute, key = parts
    if attribute not in ATTRIBUTE_NAMES or "\0" in key:
        raise ValueError("no key of a mapping")
    return attribute, key
