"""What every contender can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

# Tasks of one worker at once, the same for all.
SLOTS = 200
RUN_TIMEOUT_SECONDS = 180.0


class Contender(Protocol):
    """One system under test. Its tables keep what it ran; its processes run only between start and stop."""

    @property
    def name(self) -> str:
        """Its key in the results."""

    @property
    def roles(self) -> Mapping[str, int]:
        """Its processes beside the servers: pid by role."""

    async def start(self) -> None:
        """Starts its processes and waits until they take work."""

    async def stop(self) -> None:
        """Stops them."""

    async def run_bulk(self, jobs: int, tasks: int) -> float:
        """Submits jobs of so many sequential no-op tasks at once; returns seconds until the last is durable.

        Raises:
            MiscountError: Not every task ran exactly once, or not every job ended well.
        """

    async def run_calls(self, jobs: int, tasks: int) -> float:
        """As run_bulk, but one call a job, 32 of them at once."""

    async def run_one(self) -> float:
        """Submits one job of four tasks on an idle system; returns seconds until its end is seen."""


class MiscountError(Exception):
    """What ran is not what was submitted: the figure would mean nothing."""
