"""Reads the bodies that Etsy takes: urlencoded forms with arrays, and multipart uploads.

An array may come as one comma-separated value, as repeated fields, or as name[] and name[0]: real clients
send all of these. Fields that an operation does not know are ignored, as the live API ignores them.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from stoflow_sandbox.marketplaces.exchange import Call

_INDEX = re.compile(r"\[\d*\]$")


@dataclass(frozen=True, slots=True)
class Kind:
    """How one field is read: raises ValueError for what it cannot be."""

    name: str
    read: Callable[[str], Any]
    is_array: bool = False
    is_nullable: bool = False


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,18}", text):
        raise ValueError(text)
    return int(text)


def _identifier(text: str) -> int:
    number = _whole(text)
    if number < 1:
        raise ValueError(text)
    return number


def _boolean(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


INTEGER = Kind("an integer", _whole)
NUMBER = Kind("a number", float)
TEXT = Kind("a string", str)
BOOLEAN = Kind("a boolean", _boolean)
ID = Kind("a positive integer", _identifier, is_nullable=True)
TEXTS = Kind("an array of strings", str.strip, is_array=True, is_nullable=True)
IDS = Kind("an array of positive integers", _identifier, is_array=True, is_nullable=True)


def one_of(*values: str) -> Kind:
    known = {value: value for value in values}
    return Kind(f"one of {', '.join(values)}", known.__getitem__)


def read_form(call: Call, shape: Mapping[str, Kind]) -> tuple[dict[str, Any], list[str]]:
    """Return the known fields of an urlencoded body, and a violation for each that cannot be read."""
    if call.body and call.media_type != "application/x-www-form-urlencoded":
        return {}, [f"Expected a form, got {call.media_type or 'no content type'}."]
    pairs = parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True)
    return read_fields(pairs, shape)


def read_fields(pairs: list[tuple[str, str]], shape: Mapping[str, Kind]) -> tuple[dict[str, Any], list[str]]:
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(_INDEX.sub("", name), []).append(value)
    values: dict[str, Any] = {}
    violations = []
    for name, kind in shape.items():
        if name not in given:
            continue
        try:
            values[name] = _read(given[name], kind)
        except (ValueError, KeyError):
            violations.append(f"Invalid value for {name}: expected {kind.name}.")
    return values, violations


def _read(texts: list[str], kind: Kind) -> Any:
    if kind.is_nullable and texts in ([""], ["null"]):
        return None
    if kind.is_array:
        return [kind.read(part) for text in texts for part in text.split(",")]
    return kind.read(texts[-1])


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart body: its text fields, and the file in the part named image."""

    fields: list[tuple[str, str]]
    image: bytes | None


async def read_upload(call: Call) -> Upload | None:
    """Return a multipart body, or None when it is none."""
    if call.media_type != "multipart/form-data":
        return None

    async def chunks() -> AsyncIterator[bytes]:
        yield call.body
        yield b""

    try:
        form = await MultiPartParser(Headers(dict(call.headers)), chunks()).parse()  # type: ignore[arg-type]
    except (MultiPartException, KeyError):
        # Told to the client as a body that cannot be read.
        return None
    part = form.get("image")
    image = await part.read() if isinstance(part, UploadFile) else None
    fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    await form.close()
    return Upload(fields, image)
