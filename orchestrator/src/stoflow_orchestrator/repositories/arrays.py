"""Columns of many rows as PostgreSQL's binary arrays.

psycopg dumps a list element by element, after a search for its type; on the hot path that took more time than
everything that was decided about the rows. Here each function packs one column of known type.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import ClassVar, TypeVar
from uuid import UUID

from psycopg import adapters
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

_int4 = struct.Struct("!i").pack
_field4 = struct.Struct("!ii").pack
_field8 = struct.Struct("!iq").pack
_field_float = struct.Struct("!id").pack
_header = struct.Struct("!iiIii").pack
_empty = struct.Struct("!iiI").pack

_NULL = _int4(-1)
_UUID_LENGTH = _int4(16)
_TRUE, _FALSE = _int4(1) + b"\1", _int4(1) + b"\0"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class BinaryArray(bytes):
    """An array in PostgreSQL's binary format; subclasses say of what."""

    element_oid: ClassVar[int]
    array_oid: ClassVar[int]


ArrayT = TypeVar("ArrayT", bound=BinaryArray)


class UuidArray(BinaryArray):
    """uuid[]"""

    element_oid, array_oid = 2950, 2951


class TextArray(BinaryArray):
    """text[]"""

    element_oid, array_oid = 25, 1009


class IntArray(BinaryArray):
    """int4[]"""

    element_oid, array_oid = 23, 1007


class BigIntArray(BinaryArray):
    """int8[]"""

    element_oid, array_oid = 20, 1016


class TimeArray(BinaryArray):
    """timestamptz[]"""

    element_oid, array_oid = 1184, 1185


class BytesArray(BinaryArray):
    """bytea[]"""

    element_oid, array_oid = 17, 1001


class BoolArray(BinaryArray):
    """bool[]"""

    element_oid, array_oid = 16, 1000


class FloatArray(BinaryArray):
    """float8[]"""

    element_oid, array_oid = 701, 1022


def uuids(values: Iterable[UUID | None]) -> UuidArray:
    """Packs a column of UUIDs."""
    return _pack(UuidArray, [_NULL if v is None else _UUID_LENGTH + v.bytes for v in values])


def texts(values: Iterable[str | None]) -> TextArray:
    """Packs a column of text."""
    fields = []
    for value in values:
        if value is None:
            fields.append(_NULL)
        else:
            data = value.encode()
            fields.append(_int4(len(data)) + data)
    return _pack(TextArray, fields)


def ints(values: Iterable[int | None]) -> IntArray:
    """Packs a column of int4."""
    return _pack(IntArray, [_NULL if v is None else _field4(4, v) for v in values])


def bigints(values: Iterable[int | None]) -> BigIntArray:
    """Packs a column of int8."""
    return _pack(BigIntArray, [_NULL if v is None else _field8(8, v) for v in values])


def times(values: Iterable[datetime | None]) -> TimeArray:
    """Packs a column of times."""
    # Most of a group's times are one: that of its transaction.
    known: dict[datetime | None, bytes] = {None: _NULL}
    fields = []
    for value in values:
        field = known.get(value)
        if field is None:
            assert value is not None  # noqa: S101 - None is known
            field = known[value] = _field8(8, (value - _EPOCH) // _MICROSECOND)
        fields.append(field)
    return _pack(TimeArray, fields)


def blobs(values: Iterable[bytes | None]) -> BytesArray:
    """Packs a column of bytea."""
    return _pack(BytesArray, [_NULL if v is None else _int4(len(v)) + v for v in values])


def bools(values: Iterable[bool | None]) -> BoolArray:
    """Packs a column of booleans."""
    return _pack(BoolArray, [_NULL if v is None else _TRUE if v else _FALSE for v in values])


def floats(values: Iterable[float | None]) -> FloatArray:
    """Packs a column of float8."""
    return _pack(FloatArray, [_NULL if v is None else _field_float(8, v) for v in values])


def _pack(kind: type[ArrayT], fields: list[bytes]) -> ArrayT:
    if not fields:
        return kind(_empty(0, 0, kind.element_oid))
    # The flag says that there may be nulls.
    return kind(_header(1, 1, kind.element_oid, len(fields), 1) + b"".join(fields))


class _ArrayDumper(Dumper):
    """Sends what is packed already."""

    format = Format.BINARY

    def dump(self, obj: BinaryArray) -> Buffer:
        return obj


def _register() -> None:
    for kind in (
        UuidArray,
        TextArray,
        IntArray,
        BigIntArray,
        TimeArray,
        BytesArray,
        BoolArray,
        FloatArray,
    ):
        dumper = type(f"{kind.__name__}Dumper", (_ArrayDumper,), {"oid": kind.array_oid})
        adapters.register_dumper(kind, dumper)


_register()
