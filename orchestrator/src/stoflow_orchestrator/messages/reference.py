"""Reference values and mappings between table rows and messages."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row
from stoflow.catalog.v1.mapping_pb2 import Mapping, MappingKey
from stoflow.catalog.v1.reference_pb2 import (
    REFERENCE_SOURCE_DEFAULT,
    REFERENCE_SOURCE_OPERATOR,
    ReferenceAttribute,
    ReferenceValue,
)

ATTRIBUTE_PREFIX = "REFERENCE_ATTRIBUTE_"
# As tables and manifests write them.
ATTRIBUTE_NAMES = frozenset(
    name.removeprefix(ATTRIBUTE_PREFIX).lower() for name, number in ReferenceAttribute.items() if number
)


def attribute_name(attribute: ReferenceAttribute.ValueType) -> str:
    """Returns an attribute as tables and manifests name it: "category"."""
    return ReferenceAttribute.Name(attribute).removeprefix(ATTRIBUTE_PREFIX).lower()


def attribute_of(name: str) -> ReferenceAttribute.ValueType:
    """Returns the attribute of a name."""
    return ReferenceAttribute.Value(ATTRIBUTE_PREFIX + name.upper())


def value_message(row: Row[Any]) -> ReferenceValue:
    """Converts a reference value."""
    source = REFERENCE_SOURCE_OPERATOR if row.source == "operator" else REFERENCE_SOURCE_DEFAULT
    return ReferenceValue(attribute=attribute_of(row.attribute), key=row.key, name=row.name, source=source)


def mapping_message(marketplace: str, row: Row[Any]) -> Mapping:
    """Converts what operator and manifest say of one key."""
    is_chosen = row.operator_value is not None
    return Mapping(
        marketplace=marketplace,
        key=MappingKey(attribute=attribute_of(row.attribute), key=row.key),
        value=row.operator_value if is_chosen else row.default_value,
        source=REFERENCE_SOURCE_OPERATOR if is_chosen else REFERENCE_SOURCE_DEFAULT,
        default_value=row.default_value or "",
    )
