"""The quick look at a message's wire form misses nothing that the walk over its fields finds."""

from __future__ import annotations

import math
import struct

import pytest
from google.protobuf.struct_pb2 import Struct

from stoflow_orchestrator.storable import storable_violations


def _nan(payload: int, *, sign: int) -> float:
    bits = sign << 63 | 0x7FF << 52 | payload
    (value,) = struct.unpack("!d", struct.pack("!Q", bits))
    return float(value)


@pytest.mark.parametrize(
    "value",
    [
        math.inf,
        -math.inf,
        math.nan,
        _nan(0x0F0F0F0F0F0F0, sign=0),
        _nan(2**52 - 1, sign=1),
        _nan(2**52 - 1, sign=0),
    ],
)
def test_number_that_is_none_is_found_whatever_its_bits(value: float) -> None:
    """Infinity and every kind of NaN are refused, also those without a zero byte."""
    message = Struct()
    message.fields["a"].number_value = value
    assert [violation.field for violation in storable_violations(message)] == ['fields["a"].number_value']


def test_text_with_nul_is_found() -> None:
    """A NUL inside a long text is refused."""
    message = Struct()
    message.fields["a"].string_value = "é" * 1_000 + "\0" + "é" * 1_000
    assert len(storable_violations(message)) == 1


def test_ordinary_values_are_left_alone() -> None:
    """Texts of any language and finite numbers are stored."""
    message = Struct()
    message.update({"a": "日本語 \x7f", "b": 1e300, "c": [0, None, True, {"d": "ÿ"}]})
    assert storable_violations(message) == []
