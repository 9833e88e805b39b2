"""google.protobuf.Struct to plain Python and JSON, and back: protobuf's own ways take several times as long."""

import json
import math
from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

# Struct knows only doubles; a greater whole number would silently become another one.
_MAX_EXACT_INTEGER = 2**53


def struct_to_dict(struct: Struct) -> dict[str, Any]:
    """Returns the struct as plain Python; whole numbers come back as int."""
    return {key: _from_value(value) for key, value in struct.fields.items()}


def _from_value(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) <= _MAX_EXACT_INTEGER else number
        case "struct_value":
            return struct_to_dict(value.struct_value)
        case "list_value":
            return [_from_value(entry) for entry in value.list_value.values]
        case "bool_value":
            return value.bool_value
        case _:
            return None


def fill_struct(struct: Struct, values: Mapping[str, Any]) -> None:
    """Writes plain values into an empty struct.

    Raises:
        ValueError: A value has no JSON form, or is a whole number beyond what a double holds exactly.
    """
    for key, value in values.items():
        if not isinstance(key, str):
            raise ValueError(f"key {key!r} is no text")
        _fill_value(struct.fields[key], value, key)


def _fill_value(target: Value, value: Any, path: str) -> None:
    if isinstance(value, str):
        target.string_value = value
    elif value is None:
        target.null_value = 0  # type: ignore[assignment]
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        if not math.isfinite(value) or (isinstance(value, int) and abs(value) > _MAX_EXACT_INTEGER):
            raise ValueError(f"{path}: {value!r} cannot be kept exactly as a JSON number; give it as text")
        target.number_value = value
    elif isinstance(value, Mapping):
        # Touching the field is what makes an empty object differ from nothing.
        target.struct_value.SetInParent()
        fill_struct(target.struct_value, value)
    elif isinstance(value, list | tuple):
        target.list_value.SetInParent()
        for index, entry in enumerate(value):
            _fill_value(target.list_value.values.add(), entry, f"{path}[{index}]")
    else:
        raise ValueError(f"{path}: a {type(value).__name__} has no JSON form")


def struct_to_json(struct: Struct) -> str:
    """Returns the struct as JSON text."""
    return json.dumps(struct_to_dict(struct), ensure_ascii=False, separators=(",", ":"))


def fill_struct_from_json(struct: Struct, text: str) -> None:
    """Reads the JSON text of an object into an empty struct; numbers become doubles."""
    fill_struct(struct, json.loads(text, parse_int=float))
