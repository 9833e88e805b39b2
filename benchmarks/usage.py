"""CPU time and memory of processes, read from /proc (Linux)."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

# The kernel's own work for our processes is in here as well.
DISTURBING_CORES = 0.2
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
# Fields of /proc/<pid>/stat behind the name, which may hold blanks: parent, own and waited-for children's time.
_PARENT, _USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM = 1, 11, 12, 13, 14


def _read_stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        # It ended; its time is in its parent's account.
        return None


def _family(pid: int) -> list[int]:
    """Returns a process and its children; PostgreSQL's backends are children of the server."""
    return [pid, *(child for child in _all_pids() if _parent_of(child) == pid)]


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parent_of(pid: int) -> int | None:
    stat = _read_stat(pid)
    return None if stat is None else int(stat[_PARENT])


def cpu_seconds(pid: int) -> float:
    """Returns the CPU time of a process and its children, ended ones included."""
    ticks = 0
    for member in _family(pid):
        if stat := _read_stat(member):
            ticks += int(stat[_USER]) + int(stat[_SYSTEM])
            if member == pid:
                ticks += int(stat[_CHILDREN_USER]) + int(stat[_CHILDREN_SYSTEM])
    return ticks / _TICKS_A_SECOND


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a process and its children, in MiB; PSS divides shared pages among those that share them."""

    processes: int
    rss_mib: float
    pss_mib: float


def memory_of(pid: int) -> Memory:
    """Returns the memory of a process and its children."""
    members = _family(pid)
    totals = {"Rss": 0, "Pss": 0}
    for member in members:
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()[1:]
        except (FileNotFoundError, ProcessLookupError):
            # It ended between the listing and the look.
            continue
        for line in lines:
            name, _, rest = line.partition(":")
            if name in totals:
                totals[name] += int(rest.split()[0])
    return Memory(len(members), totals["Rss"] / 1024, totals["Pss"] / 1024)


def busy_seconds() -> float:
    """Returns the CPU time that the whole machine has spent on anything but idling."""
    ticks = [int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle, waiting = ticks[3], ticks[4]
    return (sum(ticks) - idle - waiting) / _TICKS_A_SECOND


@dataclass(slots=True)
class Usage:
    """What a measured stretch cost; filled when the block ends.

    Attributes:
        cpu_seconds: By role. "client" is this process.
        other_seconds: CPU time of everything else on the machine: much of it spoils the figure.
    """

    wall_seconds: float = 0.0
    other_seconds: float = 0.0
    cpu_seconds: dict[str, float] = field(default_factory=dict)

    def bound(self) -> str:
        """Says what limited the stretch: the busiest roles as shares of one core, and the sum of all."""
        if not self.wall_seconds:
            return ""
        shares = {role: used / self.wall_seconds for role, used in self.cpu_seconds.items()}
        busiest = sorted(shares.items(), key=lambda item: -item[1])
        parts = [f"{role} {share:.0%}" for role, share in busiest if share >= 0.01]
        other = self.other_seconds / self.wall_seconds
        disturbed = f"; DISTURBED: others used {other:.2f} cores" if other > DISTURBING_CORES else ""
        return f"CPU {sum(shares.values()):.2f} of {os.cpu_count()} cores: {', '.join(parts)}{disturbed}"

    def per(self, items: int) -> str:
        """Says how much CPU time each item took, which other load on the machine hardly changes."""
        parts = [
            f"{role} {used / items * 1e6:.0f}"
            for role, used in sorted(self.cpu_seconds.items(), key=lambda item: -item[1])
        ]
        return f"CPU µs each: {sum(self.cpu_seconds.values()) / items * 1e6:.0f} = " + " + ".join(parts)

    def to_json(self) -> dict[str, object]:
        return {
            "wall_seconds": round(self.wall_seconds, 4),
            "cpu_seconds": {role: round(used, 3) for role, used in self.cpu_seconds.items()},
            "other_cpu_seconds": round(self.other_seconds, 3),
            "bound": self.bound(),
        }


class Meter:
    """Measures wall time and CPU time of named processes over a block."""

    def __init__(self, roles: Mapping[str, int]) -> None:
        self._roles = roles
        self.usage = Usage()
        self._before: dict[str, float] = {}
        self._busy_before = 0.0
        self._started = 0.0

    def __enter__(self) -> Self:
        self._before = self._read()
        self._busy_before = busy_seconds()
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.usage.wall_seconds = time.perf_counter() - self._started
        busy = busy_seconds() - self._busy_before
        after = self._read()
        self.usage.cpu_seconds = {role: after[role] - self._before[role] for role in after}
        self.usage.other_seconds = max(busy - sum(self.usage.cpu_seconds.values()), 0.0)

    def _read(self) -> dict[str, float]:
        return {"client": time.process_time()} | {role: cpu_seconds(pid) for role, pid in self._roles.items()}
