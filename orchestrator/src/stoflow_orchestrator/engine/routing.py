"""Where task commands go: to any instance of the marketplace, or to the one that holds the account's session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from stoflow_orchestrator.engine.changes import Dispatch
from stoflow_orchestrator.messaging.streams import DEFAULT_ROUTE
from stoflow_orchestrator.repositories import session as session_repository


@dataclass(slots=True)
class Router:
    """Finds the route of each dispatch after the commit; marketplaces without sessions cost one look at a set.

    What it does not know yet of a marketplace, or finds in between two sessions, is repaired as every lost command is:
    the reaper rings again.
    """

    pool: AsyncConnectionPool[AsyncConnection[Any]]
    # Told of dispatches whose sellers' browsers are away; must not block.
    on_offline: Callable[[Sequence[Dispatch]], None] = field(default=lambda _: None)
    _actions: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def learn(self, actions: Mapping[str, frozenset[str]]) -> None:
        """Replaces what is known of the actions that need a session, by marketplace."""
        self._actions = dict(actions)

    def learn_marketplace(self, marketplace: str, actions: Sequence[str]) -> None:
        """Takes in one marketplace that was registered here."""
        self._actions = {**self._actions, marketplace: frozenset(actions)}

    async def route(self, dispatches: Sequence[Dispatch]) -> list[tuple[Dispatch, str]]:
        """Returns the dispatches that have a route, with it; of the others `on_offline` is told."""
        actions = self._actions
        bound = [dispatch for dispatch in dispatches if actions.get(dispatch.marketplace)]
        if not bound:
            return [(dispatch, DEFAULT_ROUTE) for dispatch in dispatches]
        async with self.pool.connection() as connection:
            routes = await session_repository.find_routes(connection, {d.job_id for d in bound})
        routed: list[tuple[Dispatch, str]] = []
        offline: list[Dispatch] = []
        for dispatch in dispatches:
            needing = actions.get(dispatch.marketplace)
            route = routes.get(dispatch.job_id) if needing else None
            if needing is None or route is None or route.action not in needing:
                routed.append((dispatch, DEFAULT_ROUTE))
            elif route.instance_id is None:
                offline.append(dispatch)
            else:
                routed.append((dispatch, str(route.instance_id)))
        if offline:
            self.on_offline(offline)
        return routed


@dataclass(slots=True)
class Offline:
    """Makes jobs wait whose sellers' browsers are away, beside the publisher, which must not wait for commits."""

    decide: Callable[[Sequence[Dispatch]], Any]
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __call__(self, dispatches: Sequence[Dispatch]) -> None:
        task = asyncio.create_task(self.decide(dispatches))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
