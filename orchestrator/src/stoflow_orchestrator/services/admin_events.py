"""Result events of all tenants, for readers that come later."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from stoflow.admin.v1 import admin_service_pb2 as rpc
from stoflow.events.v1 import event_pb2

from stoflow_orchestrator.engine.pool import unavailable_when_unreachable
from stoflow_orchestrator.messages.times import optional_times
from stoflow_orchestrator.paging import MAX_PAGE_BYTES, decode_token, encode_token
from stoflow_orchestrator.repositories import result_events
from stoflow_orchestrator.repositories.result_events import START, EventsRow, Position

DEFAULT_EVENTS = 1_000
# A message holds at most some tens of kilobytes.
MAX_MESSAGES_A_READ = 200
_MAX_BIGINT = 2**63 - 1


class AdminEvents:
    """Reads the history in an order that never changes."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        self._pool = pool

    async def list(self, request: rpc.ListEventsRequest) -> rpc.ListEventsResponse:
        """Returns a page.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT or PAGE_TOKEN_INVALID.
        """
        start = decode_token(request, request.page_token, _position) or START
        times = optional_times(request, "", "occur_time_from", "occur_time_to")
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection:
                rows = await result_events.read(
                    connection,
                    start,
                    times.get("occur_time_from"),
                    times.get("occur_time_to"),
                    MAX_MESSAGES_A_READ,
                )
        page = _Page(request)
        end = page.fill(rows, start)
        is_last = not page.is_full and len(rows) < MAX_MESSAGES_A_READ
        token = encode_token(request, end) if end != START else ""
        return rpc.ListEventsResponse(events=page.events, next_page_token=token, is_last=is_last)


class _Page:
    def __init__(self, request: rpc.ListEventsRequest) -> None:
        self.events: list[event_pb2.Event] = []
        self.is_full = False
        self._request = request
        self._size = request.page_size or DEFAULT_EVENTS
        self._room = MAX_PAGE_BYTES

    def fill(self, rows: list[EventsRow], start: Position) -> Position:
        """Takes events until the page is full; returns where the next one begins."""
        end = start
        for row in rows:
            is_started = (row.transaction_id, row.message_id) == start[:2]
            taken = start.taken if is_started else 0
            for event in event_pb2.EventBatch.FromString(row.payload).events[taken:]:
                if not self._take(event):
                    return Position(row.transaction_id, row.message_id, taken)
                taken += 1
            end = Position(row.transaction_id, row.message_id, taken)
        return end

    def _take(self, event: event_pb2.Event) -> bool:
        if self._request.tenant_id not in (0, event.tenant_id):
            return True
        if self._request.marketplace not in ("", event.marketplace):
            return True
        self._room -= event.ByteSize()
        if len(self.events) == self._size or (self.events and self._room < 0):
            self.is_full = True
            return False
        self.events.append(event)
        return True


def _position(parts: list[str]) -> Position:
    transaction_id, message_id, taken = parts
    position = Position(int(transaction_id), UUID(message_id), int(taken))
    if not (0 <= position.transaction_id <= _MAX_BIGINT and 0 <= position.taken <= _MAX_BIGINT):
        raise ValueError("out of range")
    return position
