"""Asks the seller's browser for a call, within the lease, at the account's pace."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stoflow_connector_sdk import (
    ConnectorError,
    EffectOutcome,
    SellerOfflineError,
    TaskContext,
    effect_so_far,
)
from stoflow_connector_vinted.errors import parse_answer
from stoflow_connector_vinted.gateway.account import AccountBrowsers
from stoflow_connector_vinted.gateway.requests import new_request_id, once_request_ids
from stoflow_connector_vinted.gateway.server import VintedGateway

# How much longer than the browser the gateway waits: for the way there and back.
ANSWER_MARGIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a seller's browser is asked; plain, and the same for every call.

    Attributes:
        interval_seconds: Least time between the beginnings of two calls of one account.
        timeout_seconds: How long one call may take in the browser.
    """

    interval_seconds: float
    timeout_seconds: float


class BrowserClient:
    """Calls through the browser that performs an account's commands."""

    def __init__(self, gateway: VintedGateway, pace: Pace) -> None:
        self._gateway = gateway
        self._pace = pace

    def user_id(self, task: TaskContext) -> str:
        """Returns the site's id of the seller who is signed in.

        Raises:
            SellerOfflineError: Nobody is.
        """
        account = self._gateway.find(task.account_id)
        active = None if account is None else account.active
        if active is None or not active.user_id:
            raise _offline()
        return active.user_id

    async def read(self, task: TaskContext, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Asks for a call that changes nothing.

        Raises:
            ConnectorError: There is no answer, or a refusal; the effect is as unknown as before the call.
        """
        before = task.state.possible_effects
        try:
            return await self._call(task, operation, parameters, new_request_id())
        except ConnectorError as error:
            task.state.possible_effects = before
            error.effect = effect_so_far()
            raise
        finally:
            task.state.possible_effects = before

    async def change(
        self, task: TaskContext, operation: str, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Asks for a call that may be repeated.

        Raises:
            ConnectorError: There is no answer, or a refusal.
        """
        return await self._call(task, operation, parameters, new_request_id())

    async def change_once(
        self, task: TaskContext, operation: str, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Asks for a call that must not be repeated; its answer can be found again by a later attempt.

        Raises:
            ConnectorError: There is no answer, or a refusal; its effect says what is known.
        """
        return await self._call(task, operation, parameters, once_request_ids(task)[0])

    async def find_answer(self, task: TaskContext) -> dict[str, Any] | None:
        """Returns the answer to an earlier attempt's `change_once` that a browser has kept; None when there is none.

        Raises:
            SellerOfflineError: There is no browser to ask.
        """
        account = self._account(task)
        request_ids = once_request_ids(task)
        waits = min(self._pace.timeout_seconds + ANSWER_MARGIN_SECONDS, task.lease.duration_seconds)
        answer = await account.requests.find_kept(request_ids, waits)
        task.when_reported(lambda: self._acknowledge(account, account.requests.forget(request_ids)))
        if answer is None or answer.outcome != "ANSWERED":
            return None
        try:
            return parse_answer(answer)
        except ConnectorError:
            # It was refused, or nobody knows: the wardrobe tells.
            return None

    def _account(self, task: TaskContext) -> AccountBrowsers:
        account = self._gateway.find(task.account_id)
        if account is None or account.active is None:
            raise _offline()
        return account

    async def _call(
        self, task: TaskContext, operation: str, parameters: Mapping[str, Any], request_id: str
    ) -> dict[str, Any]:
        account = self._account(task)
        wait = self._pace.timeout_seconds + ANSWER_MARGIN_SECONDS
        async with account.turn():
            try:
                await task.wait(account.pace_seconds(self._pace.interval_seconds))
                await task.lease.wait_for_room(wait)
                task.raise_if_stopped()
            except ConnectorError as error:
                error.effect = effect_so_far()
                raise
            # Counted while it is on its way: whatever ends the attempt meanwhile must not say NOT_SENT.
            task.state.possible_effects += 1
            answer = await account.perform(
                request_id, operation, parameters, self._pace.timeout_seconds, wait
            )
        task.when_reported(lambda: self._acknowledge(account, [request_id]))
        try:
            content = parse_answer(answer)
        except ConnectorError as error:
            if error.effect is EffectOutcome.NOT_SENT:
                task.state.possible_effects -= 1
                error.effect = effect_so_far()
            raise
        return content

    def _acknowledge(self, account: AccountBrowsers, request_ids: list[str]) -> None:
        for request_id in request_ids:
            acknowledging = asyncio.ensure_future(account.acknowledge(request_id))
            _acknowledging.add(acknowledging)
            acknowledging.add_done_callback(_acknowledging.discard)


# Only so that they are not collected before they end.
_acknowledging: set[asyncio.Future[None]] = set()


def _offline() -> SellerOfflineError:
    return SellerOfflineError(
        "No browser of the seller is connected and ready.", effect=effect_so_far(), code="SELLER_OFFLINE"
    )
