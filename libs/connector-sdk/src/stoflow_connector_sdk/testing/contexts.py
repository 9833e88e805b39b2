"""Task contexts without a runtime."""

import uuid
from collections.abc import Sequence
from typing import Any

from stoflow_connector_sdk.lease import Lease
from stoflow_connector_sdk.task import ProductListing, SyncState, TaskContext
from stoflow_service_kit.clock import Clock, SystemClock


class FixedTokens:
    """A token source that hands out given tokens, the next one whenever one is refused."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)

    async def get_access_token(self, task: TaskContext, refused: str = "") -> str:  # noqa: ARG002
        if refused and self._tokens[0] == refused and len(self._tokens) > 1:
            self._tokens.pop(0)
        return self._tokens[0]


class FixedListings:
    """A listing source that knows given listings, and of the account what it is told."""

    def __init__(self, *listings: ProductListing, sync_state: SyncState | None = None) -> None:
        self._listings = listings
        self._sync_state = sync_state or SyncState()

    async def get_sync_state(self, task: TaskContext, page_size: int, page_token: str) -> SyncState:  # noqa: ARG002
        known = [one for one in self._sync_state.listings if one.remote_id > page_token]
        page = known[:page_size]
        token = page[-1].remote_id if 0 < page_size < len(known) else ""
        return SyncState(self._sync_state.last_complete_time, page, token)

    async def get_listings(self, task: TaskContext) -> Sequence[ProductListing]:  # noqa: ARG002
        return self._listings


def make_task_context(
    *, lease_seconds: float = 60.0, clock: Clock | None = None, **fields: Any
) -> TaskContext:
    """Makes a context with ids of its own, a lease that begins now, the token "access-token" and no known listings.

    Args:
        lease_seconds: How long the lease holds.
        clock: Time.
        **fields: Fields of TaskContext in place of the defaults.
    """
    clock = clock or SystemClock()
    defaults: dict[str, Any] = {
        "tenant_id": 1,
        "job_id": str(uuid.uuid4()),
        "task_id": str(uuid.uuid4()),
        "account_id": str(uuid.uuid4()),
        "action": "publish",
        "name": "step",
        "lease": Lease(lease_seconds, sent_at=clock.monotonic(), monotonic=clock.monotonic),
        "lease_token": str(uuid.uuid4()),
        "granted_at": clock.monotonic(),
        "token_source": FixedTokens("access-token"),
        "listing_source": FixedListings(),
        "clock": clock,
    }
    return TaskContext(**{**defaults, **fields})
