"""Takes secrets out of text that leaves a connector: failures, logs, recorded exchanges."""

import re
from collections import OrderedDict

from stoflow_service_kit.logs import REDACTED, redact_text

MAX_RAW_BODY_BYTES = 16 * 1024
_MAX_KNOWN_SECRETS = 1024
# A shorter value would be found inside ordinary words.
_MIN_SECRET_CHARACTERS = 8

_JSON_SECRET = re.compile(
    r"(?P<key>\"[A-Za-z0-9_.-]*(?:token|secret|passw(?:or)?d|authorization|api_?key|cookie)\"\s*:\s*\")"
    r"(?:[^\"\\]|\\.)*",
    re.IGNORECASE,
)
# A scheme is short: an unbounded one costs quadratic time on a long run of letters, such as an encoded picture.
_URL_PASSWORD = re.compile(
    r"(?P<head>\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@]{0,256}:)[^\s/@]{1,512}(?=@)", re.IGNORECASE
)
_HIDDEN_ADDRESS = ":\x00//"
# Paging positions, not secrets.
_PUBLIC_KEY = re.compile(r"page_?token|next_?token", re.IGNORECASE)


class KnownSecrets:
    """The values that must never leave this process, whatever text they stand in; the oldest are
    forgotten.
    """

    def __init__(self, limit: int = _MAX_KNOWN_SECRETS) -> None:
        self._values: OrderedDict[str, None] = OrderedDict()
        self._limit = limit

    def add(self, *values: str) -> None:
        """Remembers secrets; values too short to be told from ordinary words are not kept."""
        for value in values:
            if len(value) < _MIN_SECRET_CHARACTERS:
                continue
            self._values[value] = None
            self._values.move_to_end(value)
        while len(self._values) > self._limit:
            self._values.popitem(last=False)

    def remove_from(self, text: str) -> str:
        """Returns the text without any remembered value."""
        for value in self._values:
            if value in text:
                text = text.replace(value, REDACTED)
        return text


# One a process: tokens are secrets wherever in the process their text turns up.
known_secrets = KnownSecrets()


def remove_secrets(text: str) -> str:
    """Returns the text without tokens handed out in this process and without anything shaped like a
    secret.
    """
    if not text:
        return text
    text = known_secrets.remove_from(text)
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\g<head>{REDACTED}", text)
    # redact_text looks for addresses as well, without a bound; they are done, so it is not shown any.
    text = redact_text(text.replace("://", _HIDDEN_ADDRESS)).replace(_HIDDEN_ADDRESS, "://")
    return _JSON_SECRET.sub(_redact_json, text)


def clean_body(body: str | bytes) -> str:
    """Returns an answer's body as text without secrets, at most 16 KiB in UTF-8."""
    # Cut with a margin before the search, so that a huge body costs no more than a large one.
    head = body[: MAX_RAW_BODY_BYTES * 4]
    text = head.decode("utf-8", "replace") if isinstance(head, bytes) else head
    return cut_bytes(remove_secrets(text).replace("\x00", ""), MAX_RAW_BODY_BYTES)


def cut_bytes(text: str, limit: int) -> str:
    """Returns the longest beginning of the text that fits the limit in UTF-8."""
    # "replace" because a lone surrogate, legal in a Python string, cannot travel in a protobuf.
    encoded = text.encode("utf-8", "replace")
    return encoded[:limit].decode("utf-8", "ignore")


def _redact_json(match: re.Match[str]) -> str:
    key = match.group("key")
    return match.group(0) if _PUBLIC_KEY.search(key) else f"{key}{REDACTED}"
