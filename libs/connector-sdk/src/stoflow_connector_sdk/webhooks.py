"""Notifications of a marketplace: a connector checks and reads them, the runtime serves them and hands on the hints."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


class HintKind(enum.IntEnum):
    """What a notification is about; the numbers are those of stoflow.connector.v1.HintKind."""

    ORDERS = 1
    LISTINGS = 2
    AUTHORIZATION_REVOKED = 3
    ACCOUNT_DELETED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """That something has happened; never the truth, which a sync reads.

    Attributes:
        hint_id: The marketplace's own id of the notification: the same again is dropped. At most 200 characters.
        remote_account_id: The marketplace's own id of the seller, as in ConnectedAccount.
        kind: What it is about.
        remote_id: The marketplace's id of the order or listing; may be empty.
        occur_time: When it happened, aware; None when the marketplace does not say.
    """

    hint_id: str
    remote_account_id: str
    kind: HintKind
    remote_id: str = ""
    occur_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """What the marketplace sent; nothing in it is trusted before its signature is.

    Attributes:
        method: In capitals.
        headers: Names in lower case; of one that comes twice the last.
        query: Of a parameter that comes twice the last.
        body: As it came, at most 1 MiB.
    """

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAnswer:
    """What to answer.

    Attributes:
        status: HTTP status; with hints a 2xx, which is sent once the orchestrator has them, else 503.
        body: The body.
        content_type: Of the body.
        hints: What the notification says.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    hints: Sequence[Hint] = ()


class WebhookEndpoint(Protocol):
    """One address to which a marketplace sends notifications: `/webhooks/<path>` of the connector's HTTP side."""

    @property
    def path(self) -> str:
        """Below /webhooks/: "ebay/notifications"."""
        ...

    async def receive(self, request: WebhookRequest) -> WebhookAnswer:
        """Checks who sent the request and reads it; whatever it raises is answered 500 without a word."""
        ...
