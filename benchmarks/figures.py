"""What runs give, and how it is summed up."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.usage import Usage


def percentile(values: Sequence[float], percent: float) -> float:
    """Returns the smallest value that so many percent of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


@dataclass(slots=True)
class Rate:
    """Something a second, from several runs of the same work.

    Attributes:
        items: What one run does.
    """

    unit: str
    items: int
    runs: list[tuple[float, Usage]] = field(default_factory=list)

    def add(self, seconds: float, usage: Usage) -> None:
        self.runs.append((self.items / seconds, usage))

    @property
    def median(self) -> float:
        return statistics.median(value for value, _ in self.runs)

    def to_json(self) -> dict[str, Any]:
        values = [value for value, _ in self.runs]
        _, usage = min(self.runs, key=lambda run: abs(run[0] - self.median))
        return {
            "median": round(self.median, 1),
            "min": round(min(values), 1),
            "max": round(max(values), 1),
            "unit": self.unit,
            "runs": [round(value, 1) for value in values],
            "cpu_us_each": {role: round(used / self.items * 1e6) for role, used in usage.cpu_seconds.items()},
            **_usage_json(usage),
        }


@dataclass(slots=True)
class Latency:
    """Seconds that single things took, over all rounds."""

    seconds: list[float] = field(default_factory=list)
    usages: list[Usage] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def add(self, seconds: Sequence[float], usage: Usage) -> None:
        self.seconds.extend(seconds)
        self.usages.append(usage)

    def at(self, percent: float) -> float:
        """Returns a percentile in milliseconds."""
        return percentile(self.seconds, percent) * 1000

    def to_json(self) -> dict[str, Any]:
        return {
            "p50": round(self.at(50), 2),
            "p99": round(self.at(99), 2),
            "min": round(min(self.seconds) * 1000, 2),
            "max": round(max(self.seconds) * 1000, 2),
            "unit": "ms",
            "samples": len(self.seconds),
            **self.extra,
            **_usage_json(self.usages[len(self.usages) // 2]),
        }


def _usage_json(usage: Usage) -> dict[str, Any]:
    return {"bound": usage.bound(), "usage": usage.to_json()}
