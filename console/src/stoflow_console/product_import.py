"""Imports the rows of a file in one call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stoflow.catalog.v1 import product_service_pb2_grpc
from stoflow.catalog.v1.product_service_pb2 import ImportProductsRequest, ImportRow, ImportViolation

from stoflow_console.import_report import BadRow, ImportOutcome
from stoflow_console.product_files import ReadRow
from stoflow_service_kit.grpc_channel import open_channel

MAX_ROWS_A_MESSAGE = 500
MAX_BYTES_A_MESSAGE = 1024 * 1024
TIMEOUT_SECONDS = 300.0
# What the contract takes.
MAX_PROBLEMS, MAX_FIELD, MAX_REASON = 100, 500, 2000


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What holds for all rows; see ImportProductsRequest.Header."""

    tenant_id: int
    request_id: str
    import_valid_rows: bool
    validate_only: bool


async def import_rows(address: str, options: ImportOptions, rows: Sequence[ReadRow]) -> ImportOutcome:
    """Sends the rows, with what could not be read of them.

    Raises:
        grpc.aio.AioRpcError: The call was refused as a whole, or did not come through.
    """
    header = ImportProductsRequest.Header(
        request_id=options.request_id,
        tenant_id=options.tenant_id,
        import_valid_rows=options.import_valid_rows,
        validate_only=options.validate_only,
    )
    async with open_channel(address) as channel:
        stub: product_service_pb2_grpc.ProductServiceAsyncStub = product_service_pb2_grpc.ProductServiceStub(
            channel
        )
        answer = await stub.ImportProducts(_messages(header, rows), timeout=TIMEOUT_SECONDS)
    bad = [
        BadRow(row.row, row.sku, [(one.field, one.description) for one in row.violations])
        for row in answer.bad_rows
    ]
    return ImportOutcome(
        row_count=len(rows),
        imported=[(product.row, product.product_id) for product in answer.products],
        bad_rows=bad,
        omitted=answer.omitted_bad_row_count,
        request_id=options.request_id,
    )


def _messages(
    header: ImportProductsRequest.Header, rows: Sequence[ReadRow]
) -> Iterator[ImportProductsRequest]:
    yield ImportProductsRequest(header=header)
    batch = ImportProductsRequest()
    size_bytes = 0
    for row in rows:
        size = row.content.ByteSize()
        is_full = len(batch.rows.rows) == MAX_ROWS_A_MESSAGE or size_bytes + size > MAX_BYTES_A_MESSAGE
        if is_full and batch.rows.rows:
            yield batch
            batch, size_bytes = ImportProductsRequest(), 0
        problems = [
            ImportViolation(field=name[:MAX_FIELD], description=reason[:MAX_REASON])
            for name, reason in row.problems[:MAX_PROBLEMS]
        ]
        batch.rows.rows.append(ImportRow(number=row.number, content=row.content, problems=problems))
        size_bytes += size
    if batch.rows.rows:
        yield batch
