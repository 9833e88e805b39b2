"""W5: the same work over more tenants, on fuller tables, and what memory it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from benchmarks.contenders.stoflow import StoFlow, Submit
from benchmarks.contenders.submitting import submit_batches, submit_calls
from benchmarks.figures import Rate
from benchmarks.plan import Plan
from benchmarks.servers import Servers
from benchmarks.usage import Meter, memory_of
from benchmarks.workloads.comparison import W1_JOBS, W1_TASKS, WARM_UP_JOBS

TENANT_COUNTS = (1, 100, 1_000)
FULLER = 10

Say = Callable[[str], None]


async def measure_growth(plan: Plan, servers: Servers, say: Say) -> dict[str, Any]:
    """Measures W1 over tenants and over finished jobs."""
    return {
        "tenants": await _measure_tenants(plan, servers, say),
        "finished": await _measure_finished(plan, servers, say),
    }


async def _measure_tenants(plan: Plan, servers: Servers, say: Say) -> dict[str, Any]:
    jobs = plan.scaled(W1_JOBS)
    counts = [plan.scaled(count) for count in TENANT_COUNTS]
    stoflow = StoFlow(servers, database="stoflow_tenants")
    await stoflow.start()
    try:
        (first,) = await stoflow.open_shops(1, jobs)
        others = await stoflow.open_shops(
            max(counts) - 1, jobs // min(count for count in counts if count > 1)
        )
        shops = [first, *others]
        say(f"W5: {len(shops)} tenants are there")
        stoflow.shops = shops
        memory = {"before": _memory(servers, stoflow)}
        ways: dict[str, Submit] = {"calls": submit_calls}
        if stoflow.has_batches:
            ways["batches"] = submit_batches
        rates: dict[tuple[str, int], Rate] = {}
        await stoflow.run(submit_calls, shops, len(shops), 1)
        for _ in plan.each_round():
            for count in counts:
                for way, submit in ways.items():
                    rate = rates.setdefault((way, count), Rate("tasks/s", jobs * W1_TASKS))
                    servers.settle()
                    with Meter({**servers.roles, **stoflow.roles}) as meter:
                        seconds = await stoflow.run(submit, shops[:count], jobs, W1_TASKS)
                    rate.add(seconds, meter.usage)
                    say(f"W5 {count} tenants, {way}: {rate.runs[-1][0]:.0f} tasks/s; {meter.usage.bound()}")
        memory["after"] = _memory(servers, stoflow)
    finally:
        await stoflow.stop()
    return {
        **{way: {str(count): rates[way, count].to_json() for count in counts} for way in ways},
        "ratio_most_to_one": {
            way: round(rates[way, counts[-1]].median / rates[way, counts[0]].median, 3) for way in ways
        },
        "memory": memory,
    }


async def _measure_finished(plan: Plan, servers: Servers, say: Say) -> dict[str, Any]:
    """Two databases: one nearly empty, one with ten times as many finished jobs, measured in turns."""
    jobs = plan.scaled(W1_JOBS)
    rounds = len(list(plan.each_round()))
    fuller = StoFlow(servers, database="stoflow_full")
    emptier = StoFlow(servers, database="stoflow_empty")
    finished = FULLER * (rounds * jobs + WARM_UP_JOBS * rounds)
    for stoflow in (fuller, emptier):
        await stoflow.start()
        stoflow.shops = await stoflow.open_shops(1, jobs)
        if stoflow is fuller:
            for _ in range(0, finished, jobs):
                await stoflow.run_bulk(jobs, W1_TASKS)
            say(f"W5: {finished} finished jobs are there")
        await stoflow.stop()
    rates = {name: Rate("tasks/s", jobs * W1_TASKS) for name in ("fuller", "emptier")}
    for _ in plan.each_round():
        for name, stoflow in (("fuller", fuller), ("emptier", emptier)):
            servers.settle()
            await stoflow.start()
            await stoflow.run_bulk(WARM_UP_JOBS, W1_TASKS)
            with Meter({**servers.roles, **stoflow.roles}) as meter:
                seconds = await stoflow.run_bulk(jobs, W1_TASKS)
            await stoflow.stop()
            rates[name].add(seconds, meter.usage)
            say(f"W5 {name}: {rates[name].runs[-1][0]:.0f} tasks/s; {meter.usage.bound()}")
    return {
        **{name: rate.to_json() for name, rate in rates.items()},
        "finished_jobs": finished,
        "ratio_fuller_to_emptier": round(rates["fuller"].median / rates["emptier"].median, 3),
    }


def _memory(servers: Servers, stoflow: StoFlow) -> dict[str, Any]:
    pids = {"orchestrator": stoflow.roles["orchestrator"], "postgres": servers.roles["postgres"]}
    return {
        role: {name: round(value, 1) for name, value in asdict(memory_of(pid)).items()}
        for role, pid in pids.items()
    }
