"""W1, W2 and W3: the same work for every contender, interleaved, in rounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.contenders.contender import Contender
from benchmarks.contenders.stoflow import StoFlow
from benchmarks.figures import Latency, Rate
from benchmarks.plan import Plan
from benchmarks.servers import Servers
from benchmarks.usage import Meter

W1_JOBS = 1_000
W1_TASKS = 4
W2_JOBS = 200
W3_JOBS = 10_000
WARM_UP_JOBS = 100

Say = Callable[[str], None]
Measure = Callable[[Contender], Awaitable[None]]


@dataclass
class Comparison:
    """Collects the figures of W1 to W3 by workload and contender."""

    plan: Plan
    servers: Servers
    contenders: Sequence[Contender]
    singles: Sequence[Contender]
    say: Say
    rates: dict[tuple[str, str], Rate] = field(default_factory=dict)
    latencies: dict[tuple[str, str], Latency] = field(default_factory=dict)

    async def run(self) -> None:
        """Measures each workload with each contender, in as many rounds as planned."""
        for number in self.plan.each_round():
            self.say(f"round {number}")
            for workload, measure in self._measurements():
                singles = self.singles if workload == "W2" else []
                for contender in _rotated([*self.contenders, *singles], number):
                    await self._with(contender, measure)

    def _measurements(self) -> list[tuple[str, Measure]]:
        w1, w3 = self.plan.scaled(W1_JOBS), self.plan.scaled(W3_JOBS)
        all_of_them: list[tuple[str, Measure]] = [
            ("W1", lambda one: self._rate("W1", one, w1, W1_TASKS, one.run_bulk)),
            ("W1", lambda one: self._rate("W1_calls", one, w1, W1_TASKS, one.run_calls)),
            ("W2", self._single),
            ("W3", lambda one: self._rate("W3", one, w3, 1, one.run_bulk)),
        ]
        return [(workload, measure) for workload, measure in all_of_them if workload in self.plan.only]

    def to_json(self) -> dict[str, Any]:
        figures: dict[tuple[str, str], Rate | Latency] = {**self.rates, **self.latencies}
        found: dict[str, Any] = {}
        for (workload, contender), figure in figures.items():
            found.setdefault(workload, {})[contender] = figure.to_json()
        return found

    async def _with(self, contender: Contender, measure: Measure) -> None:
        self.servers.settle()
        await contender.start()
        try:
            await contender.run_bulk(WARM_UP_JOBS, W1_TASKS)
            await measure(contender)
        finally:
            await contender.stop()

    async def _rate(
        self,
        workload: str,
        contender: Contender,
        jobs: int,
        tasks: int,
        run: Callable[[int, int], Awaitable[float]],
    ) -> None:
        unit = "tasks/s" if tasks > 1 else "jobs/s"
        rate = self.rates.setdefault((workload, contender.name), Rate(unit, jobs * tasks))
        with self._meter(contender) as meter:
            seconds = await run(jobs, tasks)
        rate.add(seconds, meter.usage)
        self.say(f"{workload} {contender.name}: {rate.runs[-1][0]:.0f} {unit}; {meter.usage.bound()}")

    async def _single(self, contender: Contender) -> None:
        latency = self.latencies.setdefault(("W2", contender.name), Latency())
        with self._meter(contender) as meter:
            seconds = [await contender.run_one() for _ in range(self.plan.scaled(W2_JOBS))]
        latency.add(seconds, meter.usage)
        if isinstance(contender, StoFlow):
            latency.extra["create_call_p50"] = round(contender.creation.at(50), 2)
        self.say(
            f"W2 {contender.name}: p50 {latency.at(50):.1f} ms, p99 {latency.at(99):.1f} ms so far; "
            f"{meter.usage.bound()}"
        )

    def _meter(self, contender: Contender) -> Meter:
        return Meter({**self.servers.roles, **contender.roles})


def _rotated(contenders: Sequence[Contender], number: int) -> list[Contender]:
    """Returns them so that another one goes first in each round."""
    start = (number - 1) % len(contenders)
    return [*contenders[start:], *contenders[:start]]
