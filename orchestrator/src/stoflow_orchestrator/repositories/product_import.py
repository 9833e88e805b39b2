"""Many products at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Text, any_, bindparam, column, func, literal, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import KeyedColumnElement

from stoflow_orchestrator.models.catalog import Product, ProductImport

# The others have defaults.
_COLUMNS: list[KeyedColumnElement[Any]] = [
    entry
    for entry in Product.__table__.columns
    if entry.name not in {"version", "create_time", "update_time"}
]
_ROWS = (
    func.jsonb_to_recordset(bindparam("rows", type_=JSONB()))
    .table_valued(*(column(entry.name, entry.type) for entry in _COLUMNS), name="given")
    .render_derived(with_types=True)
)
# By SKU, so that two imports of the same products wait for each other and never in a circle.
_INSERT = (
    insert(Product)
    .from_select(
        [*(entry.name for entry in _COLUMNS), "version"],
        select(*_ROWS.c, literal_column("1")).order_by(_ROWS.c.sku),
    )
    .on_conflict_do_nothing(index_elements=[Product.sku])
    .returning(Product.product_id)
)


class ProductImportRepository:
    """Statements on a tenant's products by the thousand, and on product_imports."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list_taken_skus(self, skus: Collection[str]) -> set[str]:
        """Returns those of the SKUs that a product has."""
        wanted = literal(list(skus), ARRAY(Text()))
        found = await self._connection.execute(select(Product.sku).where(Product.sku == any_(wanted)))
        return set(found.scalars())

    async def insert(self, rows: Sequence[dict[str, Any]]) -> set[UUID]:
        """Inserts products at version 1; returns the ids of those whose SKU was free.

        Args:
            rows: Values of every column but the version and the times, as JSON has them.
        """
        inserted = await self._connection.execute(_INSERT, {"rows": list(rows)})
        return set(inserted.scalars())

    async def save_response(self, import_id: UUID, response: bytes) -> None:
        """Keeps what an import answered."""
        await self._connection.execute(insert(ProductImport).values(import_id=import_id, response=response))

    async def find_response(self, import_id: UUID) -> bytes | None:
        """Returns what an import answered; None when that was too long ago."""
        found = await self._connection.execute(
            select(ProductImport.response).where(ProductImport.import_id == import_id)
        )
        return found.scalar_one_or_none()
