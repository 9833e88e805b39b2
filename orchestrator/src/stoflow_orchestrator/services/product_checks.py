"""What of a product the contract's own rules cannot judge."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from stoflow.catalog.v1.product_pb2 import ProductContent
from stoflow.common.v1.money_pb2 import Money

from stoflow_orchestrator.repositories.reference import ReferenceRepository
from stoflow_orchestrator.services.currencies import CURRENCY_CODES
from stoflow_orchestrator.storable import storable_violations
from stoflow_service_kit.errors import AbortedError, AlreadyExistsError, FieldViolation, NotFoundError

# An error names so many known categories: enough to see what keys look like, few enough for a gRPC trailer.
NAMED_CATEGORIES = 10


class CategoryCheck:
    """Knows which of some categories exist, and how to complain about the others."""

    def __init__(self, existing: Collection[str], named: Collection[str]) -> None:
        self._existing = existing
        self._named = named

    @classmethod
    async def of(cls, connection: AsyncConnection, categories: Collection[str]) -> CategoryCheck:
        """Asks for the categories of one product, or of many."""
        reference = ReferenceRepository(connection)
        # PostgreSQL would refuse the question itself; such a text is complained about already.
        wanted = {category for category in categories if "\0" not in category}
        found = await reference.find_existing({("category", category) for category in wanted})
        existing = {key for _, key in found}
        if len(existing) == len(wanted):
            return cls(existing, ())
        known = list(await reference.list_category_keys(NAMED_CATEGORIES + 1))
        if len(known) > NAMED_CATEGORIES:
            known[NAMED_CATEGORIES:] = ["..."]
        return cls(existing, known)

    def violations(self, category: str, path: str) -> list[FieldViolation]:
        """Lists what is wrong with a category that was asked for."""
        if category in self._existing or "\0" in category:
            return []
        return [FieldViolation(path, f"unknown; known categories: {', '.join(self._named)}")]


def content_violations(content: ProductContent, path: str = "") -> list[FieldViolation]:
    """Lists values that cannot be stored and currencies that do not exist."""
    return [*storable_violations(content, path), *currency_violations(content, path)]


def currency_violations(content: ProductContent, path: str = "content") -> list[FieldViolation]:
    """Lists the prices of a product that are in no currency of ISO 4217."""
    return [
        FieldViolation(
            ".".join(filter(None, (path, field, "currency_code"))),
            f"{price.currency_code} is not an active code of ISO 4217",
        )
        for field, price in _prices(content)
        if price.currency_code not in CURRENCY_CODES
    ]


def _prices(content: ProductContent) -> Iterator[tuple[str, Money]]:
    yield "price", content.price
    for index, override in enumerate(content.overrides):
        if override.HasField("price"):
            yield f"overrides[{index}].price", override.price


def product_not_found(product_id: UUID) -> NotFoundError:
    """Makes the error for a product that the tenant does not have."""
    return NotFoundError(
        f"There is no product {product_id}.",
        reason="PRODUCT_NOT_FOUND",
        metadata={"product_id": str(product_id)},
    )


def sku_exists(sku: str) -> AlreadyExistsError:
    """Makes the error for a SKU that another product of the tenant has."""
    return AlreadyExistsError(
        f"Another product has the SKU {sku!r}.", reason="SKU_EXISTS", metadata={"sku": sku}
    )


def etag_mismatch(product_id: UUID, current: str) -> AbortedError:
    """Makes the error for a change of a product that another change overtook."""
    return AbortedError(
        "The product was changed since it was read; read it again and start over.",
        reason="ETAG_MISMATCH",
        metadata={"product_id": str(product_id), "etag": current},
    )
