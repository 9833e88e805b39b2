"""One connection of a paired browser: what it said last, and how to speak to it."""

import json
from dataclasses import dataclass, field

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from stoflow_connector_sdk.sessions import PairedAccount
from stoflow_connector_vinted.gateway.messages import CLOSE_CODES, MAX_TEXT, Message


@dataclass(slots=True, eq=False)
class BrowserConnection:
    """A browser that has said hello.

    Attributes:
        socket: The connection.
        paired: What it may act for.
        token: Its secret.
        client_id: Its installation.
        session: `session` as it said it last.
        was_welcomed: Whether it may be told of its role.
    """

    socket: ServerConnection
    paired: PairedAccount
    token: str = field(repr=False)
    client_id: str
    session: Message
    was_welcomed: bool = False

    @property
    def user_id(self) -> str:
        """The site's id of who is signed in; empty for nobody."""
        user: Message = self.session.get("user") or {}
        return str(user.get("id", ""))

    @property
    def is_ready(self) -> bool:
        """Whether it can perform commands."""
        return self.session["state"] == "READY" and bool(self.user_id)

    async def send(self, message: Message) -> None:
        """Sends; that the connection has ended is its reader's to notice."""
        try:
            await self.socket.send(json.dumps(message))
        except ConnectionClosed:
            return

    async def tell_role(self, epoch: int, role: str, reason: str) -> None:
        """Tells a welcomed browser its new role."""
        if self.was_welcomed:
            await self.send({"type": "role", "epoch": epoch, "role": role, "reason": reason})

    async def part(self, reason: str, message: str, retry_after_seconds: float | None = None) -> None:
        """Says goodbye and closes."""
        await part(self.socket, reason, message, retry_after_seconds)


async def part(
    socket: ServerConnection, reason: str, message: str, retry_after_seconds: float | None = None
) -> None:
    """Says goodbye with a reason and closes with its code."""
    bye: Message = {"type": "bye", "reason": reason, "message": message[:MAX_TEXT]}
    if retry_after_seconds is not None:
        bye["retry_after_seconds"] = retry_after_seconds
    try:
        await socket.send(json.dumps(bye))
    except ConnectionClosed:
        return
    await socket.close(CLOSE_CODES[reason], reason)
