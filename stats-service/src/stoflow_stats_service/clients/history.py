"""The orchestrator's history of result events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from stoflow.admin.v1 import admin_service_pb2, admin_service_pb2_grpc
from stoflow.events.v1 import event_pb2

from stoflow_service_kit.caller_token import TokenSource
from stoflow_service_kit.grpc_channel import open_channel, retry_service_config

PAGE_EVENTS = 2_000
TIMEOUT_SECONDS = 60.0


class HistoryPage(NamedTuple):
    """Some events in the order of the history, and where the next page begins."""

    events: Sequence[event_pb2.Event]
    next_page_token: str
    is_last: bool


class HistoryClient:
    """Reads AdminService.ListEvents."""

    def __init__(self, address: str, token: TokenSource | None = None) -> None:
        self._channel = open_channel(
            address,
            token=token,
            service_config=retry_service_config({"stoflow.admin.v1.AdminService": ["ListEvents"]}),
        )
        self._stub: Any = admin_service_pb2_grpc.AdminServiceStub(self._channel)

    async def close(self) -> None:
        await self._channel.close()

    async def read_page(self, start: datetime, end: datetime | None, page_token: str) -> HistoryPage:
        """Returns the page of a token, or the first.

        Args:
            start: Only what happened at this time or later; the same for all pages.
            end: Only what happened before; None for no end.
            page_token: Of the page before; empty for the first.

        Raises:
            grpc.aio.AioRpcError: The orchestrator does not answer, or refuses.
        """
        request = admin_service_pb2.ListEventsRequest(
            occur_time_from=_timestamp(start), page_size=PAGE_EVENTS, page_token=page_token
        )
        if end is not None:
            request.occur_time_to.CopyFrom(_timestamp(end))
        answer = await self._stub.ListEvents(request, timeout=TIMEOUT_SECONDS)
        return HistoryPage(answer.events, answer.next_page_token, answer.is_last)


def _timestamp(time: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp
