"""Values against the JSON Schemas that connectors declare."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry

from stoflow_service_kit.errors import FieldViolation

MAX_VIOLATIONS = 200
# A few schemas an action; a schema that is used again has the same text.
MAX_VALIDATORS = 256


def schema_violations(schema: str, value: Any, field: str) -> list[FieldViolation]:
    """Lists what is wrong with a value; a field that is missing or unknown is named by its own path.

    Args:
        schema: JSON Schema (2020-12) as text; empty accepts only an empty object.
        value: What JSON decoding gives.
        field: Path of the value in the request, such as `settings`.
    """
    if not schema:
        return [FieldViolation(f"{field}.{name}", "the marketplace takes none") for name in sorted(value)]
    # A dict, since each missing field of one object is reported by an error of its own.
    found: dict[FieldViolation, None] = {}
    for error in _validator(schema).iter_errors(value):
        for violation in _violations(error, field):
            found.setdefault(violation)
            if len(found) == MAX_VIOLATIONS:
                return list(found)
    return sorted(found, key=lambda violation: violation.field)


@lru_cache(maxsize=MAX_VALIDATORS)
def _validator(schema: str) -> Draft202012Validator:
    # An empty registry: a schema cannot make the orchestrator fetch an address.
    return Draft202012Validator(json.loads(schema), registry=Registry())


def _violations(error: ValidationError, field: str) -> Iterator[FieldViolation]:
    # Of alternatives that all failed, the nearest one says most.
    nearest = best_match([error]) if error.context else error
    if nearest is None:
        raise AssertionError("best_match of one error is an error")
    path = field + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in nearest.absolute_path
    )
    rule = str(nearest.validator)
    if rule == "required":
        required: Any = nearest.validator_value
        present: Any = nearest.instance
        for name in required:
            if name not in present:
                yield FieldViolation(f"{path}.{name}", "is required", rule)
    else:
        yield FieldViolation(path, nearest.message, rule)
