"""What one invocation shall measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WORKLOADS = ("W1", "W2", "W3", "W4", "W5", "idle", "stats")
QUICK_DIVISOR = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything.

    Attributes:
        rounds: Rounds over workloads and contenders.
        only: Names out of WORKLOADS.
        is_quick: A tenth of everything, to see that it works; the figures mean little.
        folder: Holds the servers' data, made anew.
    """

    rounds: int
    only: tuple[str, ...]
    is_quick: bool
    folder: Path

    def scaled(self, count: int) -> int:
        return max(count // QUICK_DIVISOR, 1) if self.is_quick else count

    def each_round(self) -> Iterator[int]:
        yield from range(1, (1 if self.is_quick else self.rounds) + 1)
