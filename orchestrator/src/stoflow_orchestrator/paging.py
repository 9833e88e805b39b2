"""Opaque page tokens: where a page ended, bound to the query that it belongs to."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Protocol, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError

DEFAULT_PAGE_SIZE = 50
# Half of what a gRPC message may hold here, so that the largest single item still fits behind it.
MAX_PAGE_BYTES = 4 * 1024 * 1024
_DIGEST_BYTES = 8
_SEPARATOR = "\n"
_MAX_BIGINT = 2**63 - 1

K = TypeVar("K")
M = TypeVar("M", bound=Message)


class PagedRequest(Protocol):
    """A request message of a List method."""

    page_size: int
    page_token: str


def page_size(request: PagedRequest) -> int:
    """Returns how many items the page may hold."""
    return request.page_size or DEFAULT_PAGE_SIZE


def fit_page(items: Iterable[M], size: int) -> list[M]:
    """Returns the first items, at most `size`, and fewer when they would not fit into one message; at least one."""
    page: list[M] = []
    room = MAX_PAGE_BYTES
    for item in islice(items, size):
        room -= item.ByteSize()
        if page and room < 0:
            break
        page.append(item)
    return page


def encode_token(request: Message, key: Sequence[object]) -> str:
    """Makes the token of the page that begins behind a key."""
    position = _SEPARATOR.join(part.isoformat() if isinstance(part, datetime) else str(part) for part in key)
    return base64.urlsafe_b64encode(_query_digest(request) + position.encode()).decode().rstrip("=")


def decode_token(request: Message, token: str, parse: Callable[[list[str]], K]) -> K | None:
    """Returns the key behind which the page begins; None for the first page.

    Args:
        request: The List request; its page_size may differ from the one that issued the token.
        token: Its page_token.
        parse: Turns the key's parts back; raises ValueError for what is no key.

    Raises:
        InvalidArgumentError: PAGE_TOKEN_INVALID, for a token that this query did not issue.
    """
    if not token:
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        digest, position = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:].decode()
        if digest != _query_digest(request):
            raise ValueError("another query's token")
        return parse(position.split(_SEPARATOR))
    except (ValueError, binascii.Error) as error:
        violation = FieldViolation("page_token", "The token was not issued for this query.")
        raise InvalidArgumentError([violation], reason="PAGE_TOKEN_INVALID") from error


def time_and_id(parts: list[str]) -> tuple[datetime, UUID]:
    """Parses a key of a time and an id."""
    time_text, id_text = parts
    time = datetime.fromisoformat(time_text)
    if time.tzinfo is None:
        raise ValueError("no time zone")
    return time, UUID(id_text)


def single_number(parts: list[str]) -> int:
    """Parses a key of one positive number."""
    (text,) = parts
    number = int(text)
    if not 0 < number <= _MAX_BIGINT:
        raise ValueError("out of range")
    return number


def single_text(parts: list[str]) -> str:
    """Parses a key of one text that a database can keep."""
    text = _SEPARATOR.join(parts)
    if "\0" in text:
        raise ValueError("not storable")
    return text


def single_uuid(parts: list[str]) -> UUID:
    """Parses a key of one id."""
    (text,) = parts
    return UUID(text)


def _query_digest(request: Message) -> bytes:
    query = type(request)()
    query.CopyFrom(request)
    query.ClearField("page_size")
    query.ClearField("page_token")
    body = query.SerializeToString(deterministic=True)
    return hashlib.sha256(request.DESCRIPTOR.full_name.encode() + b"\0" + body).digest()[:_DIGEST_BYTES]
