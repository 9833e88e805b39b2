"""What every marketplace sandbox has in common: a call comes in, effects happen, a reply goes out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import parse_qsl


class Call:
    """One HTTP request, read whole. `base_url` is how the client reached the sandbox, without a slash."""

    def __init__(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, base_url: str
    ) -> None:
        """Take header names in lower case and a path that is already percent-decoded."""
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.base_url = base_url

    @cached_property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @cached_property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @cached_property
    def form(self) -> dict[str, str]:
        if self.media_type != "application/x-www-form-urlencoded":
            return {}
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    @cached_property
    def json(self) -> Any:
        """The parsed body, or None when it is empty or no JSON."""
        if not self.body or "json" not in self.media_type:
            return None
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a call is about, as far as can be told before it is obeyed."""

    operation: str
    seller: str | None = None
    sku: str | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """One change at the marketplace; `kind` reads thing.event, as in offer.created."""

    kind: str
    id: str
    sku: str | None = None

    def view(self) -> dict[str, str | None]:
        return {"kind": self.kind, "id": self.id, "sku": self.sku}


@dataclass(slots=True)
class Reply:
    """The answer to a call and the effects that obeying it had. `content` is JSON unless it is bytes."""

    status: int
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    media_type: str = "application/json"

    def encode(self) -> bytes:
        if self.content is None:
            return b""
        if isinstance(self.content, bytes):
            return self.content
        return json.dumps(self.content, separators=(",", ":")).encode()


class Marketplace(Protocol):
    """What a marketplace sandbox gives to the shared machinery."""

    def identify(self, call: Call) -> Subject:
        """Name the operation, seller and SKU of a call without obeying it."""

    async def respond(self, call: Call) -> Reply:
        """Obey a call: check the rules, change the state, answer."""

    def fault_content(self, status: int, path: str) -> Any:
        """Return the body that this marketplace sends with an injected status."""
