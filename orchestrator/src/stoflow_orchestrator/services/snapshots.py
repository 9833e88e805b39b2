"""Products as jobs carry them: frozen, and in the words of one marketplace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import Row
from stoflow.connector.v1.manifest_pb2 import ActionSpec
from stoflow.connector.v1.task_pb2 import ProductSnapshot

from stoflow_orchestrator.messages.product import fill_product_for_marketplace
from stoflow_orchestrator.pricing import PriceError, PriceRule
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.product import ProductRepository
from stoflow_orchestrator.repositories.reference import ReferenceRepository
from stoflow_orchestrator.services.vocabulary import LIST_ATTRIBUTES, Word, product_words
from stoflow_service_kit.batching import Batcher
from stoflow_service_kit.errors import FieldViolation
from stoflow_service_kit.turns import Turns

# Reading a row takes this process about ten microseconds, during which it serves nobody else.
PRODUCTS_A_READ = 250
LOOKS_AT_ONCE = 2
# The effect by which connectors name the listing itself.
LISTING_EFFECT = "listing"
LISTED_RULE = "listed"


class _Wanted(NamedTuple):
    tenant_id: int
    marketplace: str
    product_id: UUID


PriceSource = Literal["PRODUCT", "RULE", "OVERRIDE"]


@dataclass(frozen=True, slots=True)
class Price:
    """How a snapshot came to its price.

    Attributes:
        base_currency: Of what the rule was applied to.
        base_minor: What the rule was applied to.
        source: What decided.
        problem: Why the rule cannot be applied; empty when it can.
    """

    base_currency: str
    base_minor: int
    source: PriceSource
    problem: str = ""

    def violations(self, field: str) -> list[FieldViolation]:
        """Lists what is wrong with the price of the product at a path of the request."""
        return [FieldViolation(f"{field}.product.content.price", self.problem)] if self.problem else []


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a job carries, and how it came about.

    Attributes:
        message: What a job carries.
        price: How it came to its price.
        words: The product's own words, each with the marketplace's value or None.
        found_listings: Remote ids, by account and site, of listings that are linked to the product and that no job
            made.
    """

    message: ProductSnapshot
    price: Price
    words: Sequence[tuple[Word, str | None]]
    found_listings: Mapping[tuple[str, str], str]

    def listed_violations(
        self, action: ActionSpec, account_id: UUID, site: str, field: str
    ) -> list[FieldViolation]:
        """Says that an action would list the product where it is listed already.

        What jobs listed is in the ledger of effects, and is looked for before it is done again; what a sync found is
        not.
        """
        remote_id = self.found_listings.get((str(account_id), site))
        if remote_id is None or all(task.once.name != LISTING_EFFECT for task in action.tasks):
            return []
        description = (
            f"is listed there as {remote_id}, which a sync found: update, end or unlink that listing"
        )
        return [FieldViolation(f"{field}.product.product_id", description, LISTED_RULE)]

    def priced(self, rule: PriceRule | None) -> Snapshot:
        """Returns the snapshot with the price that an account's rule makes; an override's price stays."""
        if rule is None or self.price.source == "OVERRIDE":
            return self
        # A copy: the same snapshot may be given to callers with other rules.
        message = ProductSnapshot()
        message.CopyFrom(self.message)
        base = self.price
        try:
            amount = rule.apply(base.base_currency, base.base_minor)
        except PriceError as error:
            return replace(self, price=Price(base.base_currency, base.base_minor, "RULE", str(error)))
        message.product.content.price.amount_minor = amount
        return replace(self, message=message, price=Price(base.base_currency, base.base_minor, "RULE"))


class SnapshotLoader:
    """Reads many products at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._single: Batcher[_Wanted, Snapshot | None] = Batcher(
            "snapshots", self._load_group, workers=LOOKS_AT_ONCE
        )

    async def load_one(
        self, tenant_id: int, product_id: UUID, marketplace: str, price_rule: PriceRule | None = None
    ) -> Snapshot | None:
        """Returns a snapshot of one product, read together with those that other callers wait for."""
        snapshot = await self._single.submit(_Wanted(tenant_id, marketplace, product_id))
        return None if snapshot is None else snapshot.priced(price_rule)

    async def _load_group(self, group: Sequence[_Wanted]) -> list[Snapshot | None]:
        found: dict[_Wanted, Snapshot] = {}
        for tenant_id, marketplace in {(wanted.tenant_id, wanted.marketplace) for wanted in group}:
            product_ids = {w.product_id for w in group if w[:2] == (tenant_id, marketplace)}
            snapshots = await self.load(tenant_id, list(product_ids), marketplace)
            found.update({_Wanted(tenant_id, marketplace, key): value for key, value in snapshots.items()})
        return [found.get(wanted) for wanted in group]

    async def load(
        self,
        tenant_id: int,
        product_ids: Sequence[UUID],
        marketplace: str,
        price_rule: PriceRule | None = None,
    ) -> dict[UUID, Snapshot]:
        """Returns a snapshot of each product that exists; a missing product is absent.

        The marketplace's override is applied. Images are in order, without addresses: those are signed when a
        task is granted, since they expire.

        Args:
            tenant_id: A tenant that exists.
            product_ids: Which products.
            marketplace: Whose override and mappings to use.
            price_rule: What makes the price, unless the marketplace's override has one; None leaves it as it is.
        """
        if not product_ids:
            return {}
        rows: list[Any] = []
        words: list[list[Word]] = []
        turns = Turns()
        async with self._database.tenant_reading(tenant_id) as connection:
            for start in range(0, len(product_ids), PRODUCTS_A_READ):
                part = product_ids[start : start + PRODUCTS_A_READ]
                rows += await ProductRepository(connection).list_by_ids(part)
                words += [_words(row) for row in rows[len(words) :]]
                await turns.rest()
            keys = {(word.attribute, key) for mine in words for word in mine for key in word.keys}
            mappings = await ReferenceRepository(connection).find_mappings(marketplace, keys)
        snapshots: dict[UUID, Snapshot] = {}
        for index, row in enumerate(rows):
            await turns.rest()
            snapshot = ProductSnapshot()
            fill_product_for_marketplace(snapshot.product, tenant_id, row, marketplace)
            translated = [(word, word.translate(mappings)) for word in words[index]]
            _fill_mappings(snapshot, translated)
            _apply_category(snapshot, row, marketplace)
            price = _base_price(snapshot, row, marketplace)
            found = {
                (account_id, site): remote_id for account_id, site, remote_id in row.found_listings or ()
            }
            snapshots[row.product_id] = Snapshot(snapshot, price, translated, found).priced(price_rule)
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


def _fill_mappings(snapshot: ProductSnapshot, words: Sequence[tuple[Word, str | None]]) -> None:
    for word, value in words:
        if value is None:
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


def _base_price(snapshot: ProductSnapshot, row: Row[Any], marketplace: str) -> Price:
    price = snapshot.product.content.price
    is_override = "price_minor" in row.overrides.get(marketplace, {})
    return Price(price.currency_code, price.amount_minor, "OVERRIDE" if is_override else "PRODUCT")
