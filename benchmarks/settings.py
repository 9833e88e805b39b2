"""What one invocation shall measure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything.

    Attributes:
        rounds: Rounds over all workloads and contenders.
        is_quick: A tenth of everything, to see that it works; the figures mean little.
    """

    rounds: int
    is_quick: bool
    folder: Path

    def scaled(self, count: int) -> int:
        return max(count // 10, 1) if self.is_quick else count
