"""Products as jobs carry them: frozen, and in the words of one marketplace."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from stoflow.connector.v1.task_pb2 import ProductSnapshot

from stoflow_orchestrator.messages.product import fill_product_for_marketplace
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.product import ProductRepository
from stoflow_orchestrator.repositories.reference import ReferenceRepository

# Other calls are served in between.
PRODUCTS_A_TURN = 250

# Our value of each attribute of a product, by attribute and key: a marketplace's own value.
_Mappings = Mapping[tuple[str, str], str]


class SnapshotLoader:
    """Reads many products at once, in a number of statements that does not depend on how many."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(
        self, tenant_id: int, product_ids: Sequence[UUID], marketplace: str
    ) -> dict[UUID, ProductSnapshot]:
        """Returns a snapshot of each product that exists; a missing product is absent.

        The marketplace's override is applied. Images are in order, without addresses: those are signed when a
        task is granted, since they expire.

        Args:
            tenant_id: A tenant that exists.
            product_ids: Which products.
            marketplace: Whose override and mappings to use.
        """
        if not product_ids:
            return {}
        async with self._database.tenant_transaction(tenant_id) as connection:
            rows = await ProductRepository(connection).list_by_ids(product_ids)
            found = await ReferenceRepository(connection).list_mappings(
                marketplace, {row.category for row in rows}, {row.condition for row in rows}
            )
        mappings = {(mapping.attribute, mapping.key): mapping.value for mapping in found}
        snapshots: dict[UUID, ProductSnapshot] = {}
        for index, row in enumerate(rows):
            if index % PRODUCTS_A_TURN == 0:
                await asyncio.sleep(0)
            snapshots[row.product_id] = _snapshot(tenant_id, row, marketplace, mappings)
        return snapshots


def _snapshot(tenant_id: int, row: Row[Any], marketplace: str, mappings: _Mappings) -> ProductSnapshot:
    snapshot = ProductSnapshot()
    fill_product_for_marketplace(snapshot.product, tenant_id, row, marketplace)
    for attribute, key in (("category", row.category), ("condition", row.condition)):
        if (value := mappings.get((attribute, key))) is not None:
            snapshot.mappings[attribute] = value
    category = row.overrides.get(marketplace, {}).get("category_id")
    # An empty one is as good as none: no marketplace has a category without an id.
    if category:
        snapshot.mappings["category"] = category
    return snapshot
