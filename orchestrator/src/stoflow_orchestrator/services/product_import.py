"""Thousands of products in one call: every wrong row is named, and all that is stored is stored at once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from stoflow.catalog.v1.product_service_pb2 import (
    ImportBadRow,
    ImportedProduct,
    ImportProductsRequest,
    ImportProductsResponse,
    ImportRow,
    ImportViolation,
)
from uuid_utils.compat import uuid7

from stoflow_orchestrator.messages.product import content_values
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.product_import import ProductImportRepository
from stoflow_orchestrator.services.idempotency import claim_mutation, describe_mutation
from stoflow_orchestrator.services.product_checks import CategoryCheck, content_violations
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError, UnavailableError
from stoflow_service_kit.grpc_validation import list_violations

MAX_ROWS = 20_000
MAX_BYTES = 32 * 1024 * 1024
# An import of the greatest size takes some hundred MB.
MAX_IMPORTS = 2
# A sender that dawdles keeps others waiting.
RECEIVE_SECONDS = 60.0
# Other calls are served in between.
ROWS_A_TURN = 50
ROWS_A_STATEMENT = 1_000
# What is left of an answer for the products.
MAX_BAD_ROWS_BYTES = 5 * 1024 * 1024

Header = ImportProductsRequest.Header
Rows = ImportProductsRequest.Rows


@dataclass(slots=True)
class _Row:
    number: int
    sku: str
    category: str
    product_id: UUID
    violations: list[FieldViolation]
    # Column values; none for a row that is wrong in itself.
    values: dict[str, Any] | None


class _NothingStoredError(Exception):
    """Ends the transaction of an import that is to store nothing, so that its request_id stays free."""


class ProductImportService:
    """Receives rows, judges each and stores the valid ones."""

    def __init__(self, database: Database, tenants: TenantDirectory) -> None:
        self._database = database
        self._tenants = tenants
        self._running = asyncio.Semaphore(MAX_IMPORTS)

    async def run(self, header: Header, batches: AsyncIterator[Rows]) -> ImportProductsResponse:
        """Imports products.

        Raises:
            InvalidArgumentError: IMPORT_TOO_LARGE.
            NotFoundError: TENANT_NOT_FOUND.
            AlreadyExistsError: REQUEST_ID_REUSED.
            UnavailableError: The rows came too slowly.
        """
        await self._tenants.require(header.tenant_id)
        async with self._running:
            try:
                async with asyncio.timeout(RECEIVE_SECONDS):
                    rows, digest = await _receive(batches)
            except TimeoutError as error:
                raise _too_slow() from error
            try:
                async with self._database.tenant_transaction(header.tenant_id) as connection:
                    return await self._import(connection, header, rows, digest)
            except _NothingStoredError:
                return _response(rows, ())

    async def _import(
        self, connection: AsyncConnection, header: Header, rows: Sequence[_Row], digest: bytes
    ) -> ImportProductsResponse:
        imports = ProductImportRepository(connection)
        mutation = describe_mutation(
            header.tenant_id, header.request_id, header, str(uuid7()), attachment=digest
        )
        first = await claim_mutation(connection, mutation)
        if first is not None:
            # Both are removed after the same time, this one a little earlier at most.
            return ImportProductsResponse.FromString(await imports.find_response(UUID(first)) or b"")
        await _check_categories(connection, rows)
        _mark_taken(rows, await imports.list_taken_skus({row.sku for row in rows if row.values is not None}))
        if header.validate_only or not _may_store(header, rows):
            raise _NothingStoredError
        stored = await _store(imports, rows)
        # Another call may have taken a SKU since it was looked for.
        _mark_taken(rows, {row.sku for row in _valid(rows) if row.product_id not in stored})
        if not _may_store(header, rows):
            raise _NothingStoredError
        response = _response(rows, [row for row in rows if row.product_id in stored])
        await imports.save_response(UUID(mutation.result_id), response.SerializeToString())
        return response


async def _receive(batches: AsyncIterator[Rows]) -> tuple[list[_Row], bytes]:
    rows: list[_Row] = []
    digest = hashlib.sha256()
    size_bytes = 0
    first_by_sku: dict[str, _Row] = {}
    async for batch in batches:
        body = batch.SerializeToString(deterministic=True)
        digest.update(len(body).to_bytes(8) + body)
        size_bytes += len(body)
        if len(rows) + len(batch.rows) > MAX_ROWS or size_bytes > MAX_BYTES:
            raise _too_large()
        for row in batch.rows:
            if len(rows) % ROWS_A_TURN == 0:
                await asyncio.sleep(0)
            rows.append(_judge(row, first_by_sku))
    return rows, digest.digest()


def _judge(row: ImportRow, first_by_sku: dict[str, _Row]) -> _Row:
    content = row.content
    violations = _violations(row)
    values = None if violations else content_values(content)
    judged = _Row(row.number, content.sku, content.category, uuid7(), violations, values)
    if content.sku and (first := first_by_sku.setdefault(content.sku, judged)) is not judged:
        violations.append(FieldViolation("sku", f"row {first.number} has the same SKU"))
    return judged


def _violations(row: ImportRow) -> list[FieldViolation]:
    found = [FieldViolation(problem.field, problem.description) for problem in row.problems]
    named = {problem.field for problem in found}
    if "" not in named:
        own = [*list_violations(row.content), *content_violations(row.content)]
        # What could not be read is missing for that reason alone.
        found += [violation for violation in own if violation.field not in named]
    return found


async def _check_categories(connection: AsyncConnection, rows: Sequence[_Row]) -> None:
    check = await CategoryCheck.of(connection, {row.category for row in rows if row.category})
    for row in rows:
        # An empty one breaks the contract's rule, or was never read.
        if row.category:
            row.violations += check.violations(row.category, "category")


def _mark_taken(rows: Iterable[_Row], skus: set[str]) -> None:
    for row in rows:
        if row.sku in skus:
            row.violations.append(FieldViolation("sku", "another product has this SKU"))


def _valid(rows: Sequence[_Row]) -> list[_Row]:
    return [row for row in rows if not row.violations]


def _may_store(header: Header, rows: Sequence[_Row]) -> bool:
    valid = len(_valid(rows))
    return valid > 0 and (valid == len(rows) or header.import_valid_rows)


async def _store(imports: ProductImportRepository, rows: Sequence[_Row]) -> set[UUID]:
    # The order of all statements together, as in each: see the statement.
    valid = sorted(_valid(rows), key=lambda row: row.sku)
    stored: set[UUID] = set()
    for start in range(0, len(valid), ROWS_A_STATEMENT):
        part = valid[start : start + ROWS_A_STATEMENT]
        stored |= await imports.insert(
            [{"product_id": str(row.product_id), **(row.values or {})} for row in part]
        )
    return stored


def _response(rows: Sequence[_Row], stored: Sequence[_Row]) -> ImportProductsResponse:
    response = ImportProductsResponse(row_count=len(rows))
    response.products.extend(
        ImportedProduct(row=row.number, product_id=str(row.product_id)) for row in stored
    )
    room = MAX_BAD_ROWS_BYTES
    for row in rows:
        if row.violations:
            bad = ImportBadRow(
                row=row.number,
                sku=row.sku,
                violations=[
                    ImportViolation(field=violation.field, description=violation.description)
                    for violation in row.violations
                ],
            )
            room -= bad.ByteSize()
            if room < 0:
                response.omitted_bad_row_count += 1
            else:
                response.bad_rows.append(bad)
    return response


def _too_large() -> InvalidArgumentError:
    return InvalidArgumentError(
        [],
        message=f"An import may have {MAX_ROWS} rows and {MAX_BYTES // 1024**2} MiB; send it in several calls.",
        reason="IMPORT_TOO_LARGE",
    )


def _too_slow() -> UnavailableError:
    return UnavailableError(
        f"The rows did not all come within {RECEIVE_SECONDS:g} seconds; repeat the call.",
        retry_after_seconds=1.0,
    )
