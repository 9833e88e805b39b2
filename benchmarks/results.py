"""What all figures say together: ratios, targets, the file and the table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

FILE = Path("benchmarks/results/latest.json")
QUICK_FILE = Path("build/benchmarks-quick.json")
PEERS = ("pgqueuer", "procrastinate")
RATES = ("W1", "W1_calls", "W3")
TITLES = {
    "W1": "W1: 1,000 jobs of 4 tasks, submitted in bulk",
    "W1_calls": "W1: the same, one call a job, 32 in flight",
    "W2": "W2: one job of 4 tasks at a time",
    "W3": "W3: 10,000 jobs of one task, submitted in bulk",
    "W4": "W4: one job a second beside a backlog of 50,000",
    "W5": "W5: W1 as the tables grow",
    "idle": "idle: one orchestrator, one connector",
    "stats": "stats: 142,857 result events, 30 % of them duplicates, read to their acknowledgement",
}


@dataclass(frozen=True, slots=True)
class Target:
    """A wish, and whether it came true."""

    workload: str
    wanted: str
    found: float
    is_met: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "workload": self.workload,
            "wanted": self.wanted,
            "found": round(self.found, 2),
            "met": self.is_met,
        }


def ratios(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Returns how many times better StoFlow is than each peer: its rate over theirs, their time over its."""
    found: dict[str, Any] = {}
    for workload in RATES:
        rates = figures.get(workload, {})
        for peer in PEERS:
            if "stoflow" in rates and peer in rates:
                ratio = rates["stoflow"]["median"] / rates[peer]["median"]
                found.setdefault(workload, {})[peer] = round(ratio, 2)
    latencies = figures.get("W2", {})
    for peer, latency in latencies.items():
        if peer != "stoflow" and "stoflow" in latencies:
            found.setdefault("W2", {})[peer] = round(latency["p50"] / latencies["stoflow"]["p50"], 2)
    return found


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Returns every target whose workload was measured."""
    found: list[Target] = []

    def at_least(workload: str, wanted: str, value: float, least: float) -> None:
        found.append(Target(workload, wanted, value, value >= least))

    def at_most(workload: str, wanted: str, value: float, most: float) -> None:
        found.append(Target(workload, wanted, value, value <= most))

    if "W1" in figures:
        at_least("W1", "at least 5,000 tasks/s", figures["W1"]["stoflow"]["median"], 5_000)
        at_least("W1", "at least 2 x PgQueuer", ratios(figures)["W1"]["pgqueuer"], 2)
    if "W2" in figures:
        at_most("W2", "p50 at most 13 ms", figures["W2"]["stoflow"]["p50"], 13)
        at_most("W2", "p99 at most 30 ms", figures["W2"]["stoflow"]["p99"], 30)
    if "W3" in figures:
        at_least("W3", "at least 5,000 jobs/s", figures["W3"]["stoflow"]["median"], 5_000)
    if "W4" in figures:
        w4 = figures["W4"]["stoflow"]
        at_most("W4", "p99 at most 2 x its p99 alone", w4["ratio_p99"], 2)
        at_least("W4", "at least 150 samples", w4["samples"], 150)
        at_least("W4", "backlog never below 50,000", w4["smallest_backlog"], 50_000)
    if "W5" in figures:
        w5 = figures["W5"]["stoflow"]
        for way, many in w5["tenants"]["ratio_most_to_one"].items():
            at_least("W5", f"1,000 tenants at least 0.6 x one tenant ({way})", many, 0.6)
        full = w5["finished"]["ratio_fuller_to_emptier"]
        at_least("W5", "10 x as many finished jobs at least 0.8 x", full, 0.8)
    if "idle" in figures:
        at_most("idle", "fewer than 2 queries/s", figures["idle"]["stoflow"]["queries_per_second"], 1.99)
    if "stats" in figures:
        at_least("stats", "at least 5,000 events/s", figures["stats"]["stoflow"]["median"], 5_000)
    return found


def merge(content: Mapping[str, Any], file: Path, workloads: Sequence[str]) -> dict[str, Any]:
    """Returns the file's figures with those of some workloads replaced by new ones.

    Each workload keeps what it was measured on and when, under "measured".
    """
    old: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    figures = {name: old[name] for name in TITLES if name in old}
    figures.update({name: content[name] for name in TITLES if name in content})
    about = {key: content[key] for key in ("machine", "time", "rounds")}
    measured = {**old.get("measured", {}), **dict.fromkeys(workloads, about)}
    return {
        **figures,
        "ratios": ratios(figures),
        "targets": [target.to_json() for target in targets(figures)],
        "measured": measured,
        "notes": content["notes"],
    }


def write(content: Mapping[str, Any], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2) + "\n")


def show(content: Mapping[str, Any]) -> None:
    """Prints the figures, what bounds each, and the targets."""
    # Wide on purpose: a terminal may fold the last column, a file keeps it.
    console = Console(soft_wrap=True, highlight=False)
    for workload, title in TITLES.items():
        figures = content.get(workload)
        if figures is None:
            continue
        console.print(f"\n[bold]{title}[/bold]")
        for contender, figure in figures.items():
            ratio = content["ratios"].get(workload, {}).get(contender)
            times = f"{ratio:.2f} x better" if ratio else ""
            for label, value, spread, bound in _lines(workload, figure):
                name = f"{contender} {label}".strip()
                console.print(f"  {name:<30} {value:<28} {spread:<20} {times:<14} {bound}")
    console.print("\n[bold]Targets[/bold]")
    for target in content["targets"]:
        met = "[green]met[/green]   " if target["met"] else "[red]MISSED[/red]"
        console.print(f"  {met} {target['workload']:<5} {target['wanted']:<45} {target['found']:g}")


def _lines(workload: str, figure: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    if workload == "W5":
        return _growth_lines(figure)
    if workload == "idle":
        return [("", f"{figure['queries_per_second']:g} queries/s", "", figure["bound"])]
    lines = [("", *_figure(figure), figure["bound"])]
    if workload == "W4":
        lines.append(("alone", *_figure(figure["alone"]), figure["alone"]["bound"]))
    return lines


def _figure(figure: Mapping[str, Any]) -> tuple[str, str]:
    if "median" in figure:
        return f"{figure['median']:,.0f} {figure['unit']}", f"{figure['min']:,.0f} to {figure['max']:,.0f}"
    return (
        f"p50 {figure['p50']:.1f} ms, p99 {figure['p99']:.1f} ms",
        f"{figure['min']:.1f} to {figure['max']:.1f}",
    )


def _growth_lines(figure: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    tenants, finished = figure["tenants"], figure["finished"]
    lines = [
        (f"{count} tenants, {way}", *_figure(tenants[way][count]), tenants[way][count]["bound"])
        for way in ("batches", "calls")
        for count in tenants.get(way, ())
    ]
    lines += [
        (f"{name} tables", *_figure(finished[name]), finished[name]["bound"])
        for name in ("emptier", "fuller")
    ]
    for role, memory in tenants["memory"]["after"].items():
        size = f"RSS {memory['rss_mib']:.0f} MiB, PSS {memory['pss_mib']:.0f} MiB"
        lines.append((f"memory of {role}", size, f"{memory['processes']} processes", ""))
    return lines
