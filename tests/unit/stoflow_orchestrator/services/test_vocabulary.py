"""A product's words, their translation, and what is said of those that have none."""

from __future__ import annotations

import json

from stoflow.catalog.v1.product_pb2 import CONDITION_GOOD, Product, ProductContent
from stoflow.connector.v1.task_pb2 import ProductSnapshot

from stoflow_orchestrator.services.planning import UNMAPPED_RULE, product_violations
from stoflow_orchestrator.services.vocabulary import content_words

DRESS = ProductContent(
    category="clothing/women/dresses",
    condition=CONDITION_GOOD,
    brand="Levi's",
    colors=["Navy", "red"],
    size="M",
    materials=["Cotton"],
)


def test_words_are_looked_up_by_their_keys() -> None:
    """Every word of a product is looked up by its key; a size first by the deepest category."""
    words = [(word.attribute, word.word, word.keys) for word in content_words(DRESS)]
    assert words == [
        ("category", "clothing/women/dresses", ("clothing/women/dresses",)),
        ("condition", "GOOD", ("GOOD",)),
        ("brand", "Levi's", ("levis",)),
        ("color", "Navy", ("navy",)),
        ("color", "red", ("red",)),
        ("size", "M", ("clothing/women/dresses:m", "clothing/women:m", "clothing:m", "m")),
        ("material", "Cotton", ("cotton",)),
    ]


def test_empty_words_are_not_looked_up() -> None:
    """What a product does not say, or says without letters and digits, needs no translation."""
    content = ProductContent(category="home", condition=CONDITION_GOOD, brand="??", size="-", colors=["!"])
    assert [word.attribute for word in content_words(content)] == ["category", "condition"]


def test_deepest_category_of_a_size_wins() -> None:
    """A size bound to a nearer category counts before one bound farther away or to none."""
    (size,) = (word for word in content_words(DRESS) if word.attribute == "size")
    everywhere = {("size", "m"): "1", ("color", "m"): "9"}
    women = {**everywhere, ("size", "clothing/women:m"): "2", ("size", "clothing:m"): "3"}
    assert [size.translate(mappings) for mappings in ({}, everywhere, women)] == [None, "1", "2"]


def test_unmapped_words_are_named_by_field() -> None:
    """A mapped value that a marketplace requires is named with the word that has none, or as missing."""
    names = ["brand", "color", "condition", "size"]
    schema = json.dumps({"properties": {"mappings": {"required": names}}})
    snapshot = ProductSnapshot(product=Product(content=DRESS), mappings={"condition": "3000"})
    snapshot.product.content.size = ""
    violations = product_violations(schema, snapshot, "product")
    assert [(v.field, v.rule) for v in violations] == [
        ("product.mappings.brand", UNMAPPED_RULE),
        ("product.mappings.color", UNMAPPED_RULE),
        ("product.mappings.size", "required"),
    ]
    assert '"Levi\'s"' in violations[0].description
    assert "'Navy', 'red'" in violations[1].description
    assert "has no size" in violations[2].description
