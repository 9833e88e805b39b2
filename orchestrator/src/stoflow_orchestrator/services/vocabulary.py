"""A product's own words as keys of the reference data, and what marketplaces call them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from stoflow.catalog.v1.product_pb2 import Condition, ProductContent

from stoflow_orchestrator.messages.product import CONDITION_PREFIX
from stoflow_orchestrator.reference_keys import SCOPE_SEPARATOR, ancestors, reference_key

# Of these a product may have several values.
LIST_ATTRIBUTES = frozenset({"color", "material"})
MAX_REMEMBERED_WORDS = 20_000

# A marketplace's own value, by attribute and key.
Mappings = Mapping[tuple[str, str], str]

_key = lru_cache(maxsize=MAX_REMEMBERED_WORDS)(reference_key)


class Word(NamedTuple):
    """One word of a product.

    Attributes:
        attribute: "category", "brand", ...
        word: As the product has it.
        keys: Of the mappings that translate it, the one that counts most first.
    """

    attribute: str
    word: str
    keys: tuple[str, ...]

    def translate(self, mappings: Mappings) -> str | None:
        """Returns the marketplace's value; None when there is none."""
        for key in self.keys:
            if (value := mappings.get((self.attribute, key))) is not None:
                return value
        return None


def product_words(
    *, category: str, condition: str, brand: str, colors: Sequence[str], size: str, materials: Sequence[str]
) -> list[Word]:
    """Returns the words of a product that marketplaces may translate; empty ones are left out."""
    words = [Word("category", category, (category,)), Word("condition", condition, (condition,))]
    words += _plain("brand", [brand])
    words += _plain("color", colors)
    if size and (key := _key(size)):
        scoped = tuple(f"{scope}{SCOPE_SEPARATOR}{key}" for scope in ancestors(category))
        words.append(Word("size", size, (*scoped, key)))
    words += _plain("material", materials)
    return words


def content_words(content: ProductContent) -> list[Word]:
    """Returns the words of a product's content."""
    return product_words(
        category=content.category,
        condition=Condition.Name(content.condition).removeprefix(CONDITION_PREFIX),
        brand=content.brand,
        colors=content.colors,
        size=content.size,
        materials=content.materials,
    )


def _plain(attribute: str, words: Sequence[str]) -> Iterator[Word]:
    for word in words:
        if word and (key := _key(word)):
            yield Word(attribute, word, (key,))
