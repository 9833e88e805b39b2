"""Page tokens: bound to their question, and to the window that the first page covered."""

import base64
import binascii
import hashlib
import json
from datetime import UTC, datetime
from typing import NamedTuple

from google.protobuf.message import Message

from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError

_MOST_SECONDS = 253_402_300_800


class Position(NamedTuple):
    """Where a page begins: behind so many rows of the window that the first page covered."""

    start: datetime
    end: datetime
    offset: int


def encode_token(request: Message, position: Position) -> str:
    """Returns the token of a page."""
    start, end = (int(time.timestamp()) for time in position[:2])
    content = json.dumps([_digest(request), start, end, position.offset])
    return base64.urlsafe_b64encode(content.encode()).decode()


def decode_token(request: Message, token: str) -> Position | None:
    """Returns where the page begins; None for the first page.

    Raises:
        InvalidArgumentError: PAGE_TOKEN_INVALID: it was not issued for this question.
    """
    if not token:
        return None
    try:
        digest, start, end, offset = json.loads(base64.urlsafe_b64decode(token.encode()))
        numbers = (start, end, offset)
        if digest != _digest(request) or any(
            type(one) is not int or not 0 <= one < _MOST_SECONDS for one in numbers
        ):
            raise ValueError("another question")
        return Position(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC), offset)
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        violation = FieldViolation("page_token", "was not issued for this query")
        raise InvalidArgumentError([violation], reason="PAGE_TOKEN_INVALID") from error


def _digest(request: Message) -> str:
    question = type(request)()
    question.CopyFrom(request)
    for name in ("page_token", "page_size"):
        question.ClearField(name)
    kind = question.DESCRIPTOR.full_name.encode()
    return hashlib.sha256(kind + question.SerializeToString(deterministic=True)).hexdigest()[:16]
