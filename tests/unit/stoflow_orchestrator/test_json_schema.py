"""Values against a connector's schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from referencing.exceptions import Unresolvable

from stoflow_orchestrator.services.json_schema import MAX_VIOLATIONS, schema_violations


def violations(schema: dict[str, Any], value: Any) -> dict[str, str]:
    found = schema_violations(json.dumps(schema), value, "settings")
    return {violation.field: violation.description for violation in found}


def test_empty_schema_takes_nothing() -> None:
    """Without a schema every given field is a violation, and none is fine."""
    assert schema_violations("", {}, "options") == []
    assert [v.field for v in schema_violations("", {"b": 1, "a": 2}, "options")] == ["options.a", "options.b"]


def test_every_violation_is_named_by_its_path() -> None:
    """Missing fields, wrong types, list elements and unknown fields are all found in one go."""
    schema = {
        "type": "object",
        "required": ["name", "size"],
        "properties": {
            "name": {"type": "string"},
            "size": {"type": "object", "required": ["width"], "additionalProperties": False},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}},
        },
    }
    found = violations(schema, {"size": {"depth": 1}, "tags": ["abc", "abcd", 5]})
    assert set(found) == {
        "settings.name",
        "settings.size.width",
        "settings.size",
        "settings.tags[1]",
        "settings.tags[2]",
    }
    assert found["settings.name"] == "is required"
    assert "depth" in found["settings.size"]


def test_alternatives_report_the_nearest_one() -> None:
    """Of alternatives that all fail, the deepest violation is named."""
    schema = {
        "anyOf": [
            {"type": "string"},
            {"type": "object", "properties": {"policy": {"required": ["id"]}}},
        ]
    }
    assert set(violations(schema, {"policy": {}})) == {"settings.policy.id"}


def test_number_of_violations_is_bounded() -> None:
    """A value that is wrong in thousands of places gives a bounded list."""
    schema = {"type": "array", "items": {"type": "string"}}
    assert len(schema_violations(json.dumps(schema), list(range(5000)), "settings")) == MAX_VIOLATIONS


def test_whole_numbers_count_as_integers() -> None:
    """Numbers arrive from a Struct as floats: 3.0 is an integer, 3.5 is none."""
    schema = {"properties": {"days": {"type": "integer"}}}
    assert violations(schema, {"days": 3.0}) == {}
    assert set(violations(schema, {"days": 3.5})) == {"settings.days"}


def test_schema_cannot_make_us_fetch_anything() -> None:
    """A reference to an address is not followed; one within the schema is."""
    local = {"$defs": {"id": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/id"}}}
    assert set(violations(local, {"a": 1})) == {"settings.a"}
    remote = {"properties": {"a": {"$ref": "http://127.0.0.1:1/schema.json"}}}
    with pytest.raises(Unresolvable):
        violations(remote, {"a": 1})
