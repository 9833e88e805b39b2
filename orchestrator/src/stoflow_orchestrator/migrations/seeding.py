"""Fills the reference data with what comes with the software, at each upgrade; what operators changed stays.

Not a revision of the schema: the lists grow with every release, and are the same for all databases.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib import resources
from typing import NamedTuple

from sqlalchemy import Connection, text
from stoflow.catalog.v1.product_pb2 import Condition

CONDITION_PREFIX = "CONDITION_"
SEEDED = ("category", "brand", "color", "size", "material")

_SEED = text("""
    INSERT INTO public.reference_values AS v (attribute, key, name, source, position)
    SELECT u.attribute, u.key, u.name, 'seed', u.position
      FROM unnest(CAST(:attributes AS text[]), CAST(:keys AS text[]), CAST(:names AS text[]),
                  CAST(:positions AS int[])) AS u(attribute, key, name, position)
     ORDER BY u.attribute, u.key
        ON CONFLICT (attribute, key) DO UPDATE
           SET name = CASE WHEN v.source = 'seed' THEN excluded.name ELSE v.name END, position = excluded.position
         WHERE v.position <> excluded.position OR v.source = 'seed' AND v.name <> excluded.name""")


class Seed(NamedTuple):
    """A value that comes with the software; the position orders values for people."""

    attribute: str
    key: str
    name: str
    position: int


def read_seeds() -> Iterator[Seed]:
    """Yields the values of all attributes."""
    for attribute in SEEDED:
        content = resources.files(__package__).joinpath("seeds", f"{attribute}.csv").read_text("utf-8")
        for position, row in enumerate(csv.DictReader(content.splitlines())):
            yield Seed(attribute, row["key"], row["name"], position)
    # The scale is defined by the contract, and nowhere again.
    for full_name, number in Condition.items():
        if number:
            key = full_name.removeprefix(CONDITION_PREFIX)
            yield Seed("condition", key, key.replace("_", " ").capitalize(), number)


def seed_reference(connection: Connection) -> None:
    """Writes the values that are missing or have changed."""
    attributes, keys, names, positions = zip(*read_seeds(), strict=True)
    connection.execute(
        _SEED,
        {
            "attributes": list(attributes),
            "keys": list(keys),
            "names": list(names),
            "positions": list(positions),
        },
    )
