"""Our own vocabulary, as operators read and extend it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from stoflow.catalog.v1.reference_pb2 import REFERENCE_ATTRIBUTE_CATEGORY, REFERENCE_ATTRIBUTE_CONDITION
from stoflow.catalog.v1.reference_pb2 import ReferenceValue as ReferenceValueMessage
from stoflow.catalog.v1.reference_service_pb2 import (
    ImportReferenceValuesRequest,
    ImportReferenceValuesResponse,
    ListReferenceValuesRequest,
    ListReferenceValuesResponse,
    ListUnmappedValuesRequest,
    ListUnmappedValuesResponse,
)

from stoflow_orchestrator.messages.reference import attribute_name, value_message
from stoflow_orchestrator.paging import decode_token, encode_token, fit_page, page_size
from stoflow_orchestrator.reference_keys import is_category_key, parent_category, reference_key
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.mutation import MutationRepository
from stoflow_orchestrator.repositories.reference import ReferenceRepository
from stoflow_orchestrator.services.idempotency import claim_mutation, describe_mutation
from stoflow_orchestrator.storable import check_storable, storable_violations
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError

_ListRequest = ListReferenceValuesRequest | ListUnmappedValuesRequest


class ReferenceService:
    """Reads and extends the values of attributes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_values(self, request: ListReferenceValuesRequest) -> ListReferenceValuesResponse:
        """Returns a page of an attribute's values, in their natural order.

        Raises:
            InvalidArgumentError: PAGE_TOKEN_INVALID, or a parent that cannot exist.
        """
        check_storable(request)
        after = decode_token(request, request.page_token, _position_and_key)
        async with self._database.public_transaction() as connection:
            rows = await ReferenceRepository(connection).list_values(
                attribute_name(request.attribute), request.parent_key, after, page_size(request) + 1
            )
        values, token = _page(request, rows)
        return ListReferenceValuesResponse(values=values, next_page_token=token)

    async def list_unmapped(self, request: ListUnmappedValuesRequest) -> ListUnmappedValuesResponse:
        """Returns a page of an attribute's values that a marketplace has no mapping for.

        Raises:
            InvalidArgumentError: PAGE_TOKEN_INVALID.
        """
        after = decode_token(request, request.page_token, _position_and_key)
        async with self._database.public_transaction() as connection:
            rows = await ReferenceRepository(connection).list_unmapped(
                request.marketplace, attribute_name(request.attribute), after, page_size(request) + 1
            )
        values, token = _page(request, rows)
        return ListUnmappedValuesResponse(values=values, next_page_token=token)

    async def import_values(self, request: ImportReferenceValuesRequest) -> ImportReferenceValuesResponse:
        """Adds and renames values, all or none.

        Raises:
            InvalidArgumentError: Lists every wrong value.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        mutation = describe_mutation(0, request.request_id, request, "")
        async with self._database.public_transaction() as connection:
            counts = await claim_mutation(connection, mutation)
            if counts is None:
                if violations := await _violations(connection, request.values):
                    raise InvalidArgumentError(violations)
                names = {(attribute_name(value.attribute), value.key): value.name for value in request.values}
                created, changed = await ReferenceRepository(connection).import_values(names)
                counts = f"{created} {changed}"
                await MutationRepository(connection).set_result(mutation, counts)
        created_count, changed_count = map(int, counts.split())
        return ImportReferenceValuesResponse(created_count=created_count, changed_count=changed_count)


async def _violations(
    connection: AsyncConnection, values: Sequence[ReferenceValueMessage]
) -> list[FieldViolation]:
    violations: list[FieldViolation] = []
    parents: dict[int, str] = {}
    seen: set[tuple[int, str]] = set()
    for index, value in enumerate(values):
        if problem := _find_problem(value):
            violations.append(FieldViolation(f"values[{index}].{problem[0]}", problem[1]))
        elif (value.attribute, value.key) in seen:
            violations.append(FieldViolation(f"values[{index}].key", "comes twice in this call"))
        elif value.attribute == REFERENCE_ATTRIBUTE_CATEGORY and (parent := parent_category(value.key)):
            parents[index] = parent
        seen.add((value.attribute, value.key))
        violations += storable_violations(value, f"values[{index}]")
    imported = {key for attribute, key in seen if attribute == REFERENCE_ATTRIBUTE_CATEGORY}
    missing = {("category", parent) for parent in parents.values() if parent not in imported}
    missing -= await ReferenceRepository(connection).find_existing(missing)
    violations += [
        FieldViolation(f"values[{index}].key", f"there is no category {parent!r} above it")
        for index, parent in parents.items()
        if ("category", parent) in missing
    ]
    return violations


def _find_problem(value: ReferenceValueMessage) -> tuple[str, str] | None:
    if value.attribute == REFERENCE_ATTRIBUTE_CONDITION:
        return "attribute", "the scale of conditions is fixed"
    if value.attribute == REFERENCE_ATTRIBUTE_CATEGORY:
        if not is_category_key(value.key):
            expected = "/".join(reference_key(part) for part in value.key.split("/"))
            return "key", f"must be lower-case words with hyphens, between slashes: {expected!r}"
    elif value.key != reference_key(value.key):
        return (
            "key",
            f"must be in lower case, with hyphens for all but letters and digits: {reference_key(value.key)!r}",
        )
    return None


def _page(request: _ListRequest, rows: Sequence[Row[Any]]) -> tuple[list[ReferenceValueMessage], str]:
    values = fit_page(map(value_message, rows), page_size(request))
    if len(values) == len(rows):
        return values, ""
    last = rows[len(values) - 1]
    return values, encode_token(request, [last.position, last.key])


def _position_and_key(parts: list[str]) -> tuple[int, str]:
    position, key = parts
    if "\0" in key:
        raise ValueError("no key")
    return int(position), key
