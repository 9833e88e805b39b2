"""Calls of the public API as a careful client makes them, each of them twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
import grpc.aio

from stoflow_service_kit.grpc_status import RichError, rich_error
from tests.support.orchestrator import Stubs

R = TypeVar("R")
_CALL_SECONDS = 20.0
_PAUSE_SECONDS = 0.2
_AWAY = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}


class RefusedError(Exception):
    """The orchestrator refused a call."""

    def __init__(self, status: RichError) -> None:
        super().__init__(f"{status.code.name} {status.reason} {status.message}")
        self.reason = status.reason


@dataclass
class Caller:
    """Sends each mutation to both orchestrators at once, and again under the same request id until one answers.

    Attributes:
        orchestrators: Both of them.
        contradictions: Repeated mutations that were answered differently.
        faults: Answers that no client may ever see.
        sent: Second copies of mutations, by method.
    """

    orchestrators: Sequence[Stubs]
    contradictions: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)

    async def mutate(
        self, call: Callable[[Stubs], Callable[..., Awaitable[R]]], request: Any, identity: Callable[[R], Any]
    ) -> R:
        """Carries a mutation out.

        Args:
            call: The method of an orchestrator's stubs.
            request: With a request_id.
            identity: What of an answer must be the same whenever the mutation is repeated.

        Raises:
            RefusedError: It is refused.
        """
        name = type(request).__name__.removesuffix("Request")
        while True:
            calls = (self._try(name, call(stubs), request) for stubs in self.orchestrators)
            outcomes = await asyncio.gather(*calls)
            self.sent[name] += 1
            answers = [outcome for outcome in outcomes if not isinstance(outcome, RichError | None)]
            if answers:
                if any(identity(answer) != identity(answers[0]) for answer in answers):
                    self.contradictions.append(f"{name} {request.request_id}: {answers}")
                return answers[0]
            refusals = [outcome for outcome in outcomes if isinstance(outcome, RichError)]
            if len(refusals) == len(outcomes):
                raise RefusedError(refusals[0])
            # Who is away may have obeyed.
            await asyncio.sleep(_PAUSE_SECONDS)

    async def read(self, call: Callable[[Stubs], Callable[..., Awaitable[R]]], request: Any) -> R:
        """Asks one orchestrator after the other until one answers.

        Raises:
            RefusedError: It is refused.
        """
        while True:
            for stubs in self.orchestrators:
                outcome = await self._try(type(request).__name__, call(stubs), request)
                if isinstance(outcome, RichError):
                    raise RefusedError(outcome)
                if outcome is not None:
                    return outcome
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _try(
        self, name: str, method: Callable[..., Awaitable[R]], request: Any
    ) -> R | RichError | None:
        """Returns the answer, the refusal, or None when nobody answers."""
        try:
            return await method(request, timeout=_CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            status = rich_error(error)
            if status.code in _FAULTS:
                self.faults.append(f"{name}: {status.code.name} {status.message}")
                return None
            return None if status.code in _AWAY else status
