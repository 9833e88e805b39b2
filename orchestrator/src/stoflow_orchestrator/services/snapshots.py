"""Products as jobs carry them: frozen, and in the words of one marketplace."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row
from stoflow.connector.v1.task_pb2 import ProductSnapshot

from stoflow_orchestrator.messages.product import fill_product_for_marketplace
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.product import ProductRepository
from stoflow_orchestrator.repositories.reference import ReferenceRepository
from stoflow_orchestrator.services.vocabulary import LIST_ATTRIBUTES, Mappings, Word, product_words
from stoflow_service_kit.batching import Batcher

# Other calls are served in between.
PRODUCTS_A_TURN = 250
LOOKS_AT_ONCE = 2


class _Wanted(NamedTuple):
    tenant_id: int
    marketplace: str
    product_id: UUID


class SnapshotLoader:
    """Reads many products at once, in a number of statements that does not depend on how many."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._single: Batcher[_Wanted, ProductSnapshot | None] = Batcher(
            "snapshots", self._load_group, workers=LOOKS_AT_ONCE
        )

    async def load_one(self, tenant_id: int, product_id: UUID, marketplace: str) -> ProductSnapshot | None:
        """Returns a snapshot of one product, read together with those that other callers wait for."""
        return await self._single.submit(_Wanted(tenant_id, marketplace, product_id))

    async def _load_group(self, group: Sequence[_Wanted]) -> list[ProductSnapshot | None]:
        found: dict[_Wanted, ProductSnapshot] = {}
        for tenant_id, marketplace in {(wanted.tenant_id, wanted.marketplace) for wanted in group}:
            product_ids = {w.product_id for w in group if w[:2] == (tenant_id, marketplace)}
            snapshots = await self.load(tenant_id, list(product_ids), marketplace)
            found.update({_Wanted(tenant_id, marketplace, key): value for key, value in snapshots.items()})
        return [found.get(wanted) for wanted in group]

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
        async with self._database.tenant_reading(tenant_id) as connection:
            rows = await ProductRepository(connection).list_by_ids(product_ids)
            words = [_words(row) for row in rows]
            keys = {(word.attribute, key) for mine in words for word in mine for key in word.keys}
            mappings = await ReferenceRepository(connection).find_mappings(marketplace, keys)
        snapshots: dict[UUID, ProductSnapshot] = {}
        for index, row in enumerate(rows):
            if index % PRODUCTS_A_TURN == 0:
                await asyncio.sleep(0)
            snapshot = ProductSnapshot()
            fill_product_for_marketplace(snapshot.product, tenant_id, row, marketplace)
            _translate(snapshot, words[index], mappings)
            _apply_category(snapshot, row, marketplace)
            snapshots[row.product_id] = snapshot
        return snapshots


def _words(row: Row[Any]) -> list[Word]:
    return product_words(
        category=row.category,
        condition=row.condition,
        brand=row.brand,
        colors=row.colors,
        size=row.size,
        materials=row.materials,
    )


def _translate(snapshot: ProductSnapshot, words: Sequence[Word], mappings: Mappings) -> None:
    for word in words:
        if (value := word.translate(mappings)) is None:
            continue
        if word.attribute not in snapshot.mappings:
            snapshot.mappings[word.attribute] = value
        if word.attribute in LIST_ATTRIBUTES:
            snapshot.value_lists[word.attribute].values.append(value)


def _apply_category(snapshot: ProductSnapshot, row: Row[Any], marketplace: str) -> None:
    category = row.overrides.get(marketplace, {}).get("category_id")
    # An empty one is as good as none: no marketplace has a category without an id.
    if category:
        snapshot.mappings["category"] = category
