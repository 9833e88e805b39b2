"""How words become keys of the reference data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoflow_orchestrator.migrations.seeding import read_seeds
from stoflow_orchestrator.reference_keys import ancestors, is_category_key, parent_category, reference_key


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("Levi's", "levis"),
        ("LEVI\u2019S", "levis"),
        ("H&M", "h-m"),
        ("Fjällräven", "fjallraven"),
        (" Light  blue ", "light-blue"),
        ("EU 38 1/2", "eu-38-1-2"),
        ("snake_case", "snake-case"),
        ("Straße", "strasse"),
        ("Весна", "весна"),
        ("!?", ""),
        ("", ""),
    ],
)
def test_word_finds_its_key(word: str, key: str) -> None:
    """Case, accents, apostrophes and signs between words make no difference."""
    assert reference_key(word) == key


@given(st.text())
def test_key_is_its_own_key(word: str) -> None:
    """What is a key already stays as it is, so products may name values by their keys."""
    assert reference_key(reference_key(word)) == reference_key(word)


def test_tree_is_in_the_keys() -> None:
    """A category's ancestors are the beginnings of its path, the deepest first."""
    assert ancestors("clothing/women/dresses") == ["clothing/women/dresses", "clothing/women", "clothing"]
    assert parent_category("clothing/women/dresses") == "clothing/women"
    assert parent_category("clothing") == ""
    assert is_category_key("clothing/women/t-shirts")
    assert not any(map(is_category_key, ("", "/clothing", "clothing/", "Clothing", "a//b", "a/b c")))


def test_seed_is_a_vocabulary() -> None:
    """Every seeded key has the right form and comes once, and every category has its parent."""
    seeds = list(read_seeds())
    keys = [(seed.attribute, seed.key) for seed in seeds]
    assert len(set(keys)) == len(keys)
    categories = {seed.key for seed in seeds if seed.attribute == "category"}
    assert all(is_category_key(key) and parent_category(key) in {"", *categories} for key in categories)
    assert len(categories) >= 36
    for seed in seeds:
        assert seed.name.strip() == seed.name != ""
        if seed.attribute not in {"category", "condition"}:
            assert seed.key == reference_key(seed.key) == reference_key(seed.name), seed


def test_scale_of_conditions_is_the_contracts() -> None:
    """The conditions are those of the enum, in its order, with names for people."""
    conditions = [(seed.key, seed.name) for seed in read_seeds() if seed.attribute == "condition"]
    assert conditions == [
        ("NEW_WITH_TAGS", "New with tags"),
        ("NEW_WITHOUT_TAGS", "New without tags"),
        ("VERY_GOOD", "Very good"),
        ("GOOD", "Good"),
        ("SATISFACTORY", "Satisfactory"),
        ("FOR_PARTS", "For parts"),
    ]
