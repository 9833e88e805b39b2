"""Runs what the plan says and gathers the figures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from benchmarks.contenders.contender import Contender
from benchmarks.contenders.pgqueuer import PgQueuerPeer
from benchmarks.contenders.procrastinate import ProcrastinatePeer
from benchmarks.contenders.stoflow import StoFlow
from benchmarks.machine import describe_machine
from benchmarks.plan import Plan
from benchmarks.results import ratios, targets
from benchmarks.servers import Servers
from benchmarks.workloads.comparison import W1_JOBS, W3_JOBS, Comparison, Say
from benchmarks.workloads.fairness import measure_fairness
from benchmarks.workloads.growth import measure_growth
from benchmarks.workloads.idle import measure_idle
from benchmarks.workloads.statistics import measure_statistics

NOTES = """\
StoFlow: gRPC in, NATS, connector runtime, StartTasks, ReportTasks, events out to JetStream, which nobody consumes.
A job of four tasks at a peer is a chain: each task enqueues the next before it is done.
Each contender has one worker process and its own database on the same server; the others are stopped meanwhile.
One process submits and watches: every 10 ms it asks the database whether anything is left. At W2 it asks the peers'
every 1 ms, and StoFlow tells it through WatchJob.
PgQueuer writes the ends of tasks together, at the latest after 100 ms; pgqueuer_batch_1 writes each at once.
stats: one stats-service reads a filled stream, 30 % of it duplicates, shuffled, to its last acknowledgement.
Percentages are of one core. "others" is what the machine did besides, kernel work for loopback traffic included.
"""


async def measure(plan: Plan, say: Say) -> dict[str, Any]:
    """Returns everything for the result file."""
    machine = describe_machine()
    figures: dict[str, Any] = {}
    with Servers(plan.folder) as servers:
        if {"W1", "W2", "W3"} & set(plan.only):
            figures |= await _compare(plan, servers, say)
        if "W4" in plan.only:
            figures["W4"] = {"stoflow": await measure_fairness(plan, servers, say)}
        if "W5" in plan.only:
            figures["W5"] = {"stoflow": await measure_growth(plan, servers, say)}
        if "idle" in plan.only:
            figures["idle"] = {"stoflow": await measure_idle(servers)}
        if "stats" in plan.only:
            figures["stats"] = {"stoflow": await measure_statistics(plan, servers, say)}
    return {
        **figures,
        "ratios": ratios(figures),
        "targets": [target.to_json() for target in targets(figures)],
        "machine": machine,
        "time": datetime.now(UTC).isoformat(timespec="minutes"),
        "rounds": len(list(plan.each_round())),
        "quick": plan.is_quick,
        "notes": NOTES.splitlines(),
    }


async def _compare(plan: Plan, servers: Servers, say: Say) -> dict[str, Any]:
    contenders: list[Contender] = [
        StoFlow(servers, products=max(W1_JOBS, W3_JOBS)),
        PgQueuerPeer(servers),
        ProcrastinatePeer(servers),
    ]
    comparison = Comparison(plan, servers, contenders, [PgQueuerPeer(servers, batch_size=1)], say)
    await comparison.run()
    return comparison.to_json()
