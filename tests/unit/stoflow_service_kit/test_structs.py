import json
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from stoflow_service_kit.structs import fill_struct, struct_to_dict

numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


def to_struct(values: dict[str, Any]) -> Struct:
    struct = Struct()
    fill_struct(struct, values)
    return struct


@given(st.dictionaries(text, json_values, max_size=5))
def test_json_survives_the_way_there_and_back(values: dict[str, Any]) -> None:
    """Whatever JSON goes into a struct comes out equal, also over the wire."""
    travelled = Struct.FromString(to_struct(values).SerializeToString())
    assert struct_to_dict(travelled) == values


@given(st.dictionaries(text, json_values, max_size=5))
def test_structs_are_what_protobuf_itself_would_make(values: dict[str, Any]) -> None:
    """Our own lean conversion gives the same message as protobuf's JSON form."""
    assert to_struct(values) == json_format.Parse(json.dumps(values), Struct())


def test_whole_numbers_come_back_as_int() -> None:
    """An id or a count does not turn into a float on its way."""
    values = struct_to_dict(to_struct({"count": 3, "price": 1.5}))
    assert (repr(values["count"]), repr(values["price"])) == ("3", "1.5")


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"a": {"b": [1, object()]}}, r"b\[1\]"),
        ({"a": 2**53 + 1}, "a: 9007199254740993"),
        ({"a": float("nan")}, "a: nan"),
        ({"a": b"bytes"}, "a: a bytes"),
        ({1: "x"}, "key 1 is no text"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(values: dict[Any, Any], path: str) -> None:
    """A value without an exact JSON form is named instead of silently changed."""
    with pytest.raises(ValueError, match=path):
        to_struct(values)
