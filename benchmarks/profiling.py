"""Where the orchestrator spends its time: py-spy samples while a workload runs again and again."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

RATE = 100
TOP = 60


def find_py_spy() -> str:
    found = shutil.which("py-spy", path=sysconfig.get_path("scripts")) or shutil.which("py-spy")
    if found is None:
        sys.exit("py-spy is not installed; run `make venv`")
    return found


async def profile(
    pid: int, work: Callable[[], Awaitable[object]], seconds: float, target: Path, *, with_graph: bool
) -> None:
    """Samples a process while work is repeated.

    Writes `<target>.collapsed` (one stack a line) and `<target>.top.txt`; `<target>.svg`, a flame graph, takes
    a second sampler and so some speed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    samplers = [_start_sampler(pid, "raw", target.with_suffix(".collapsed"))]
    if with_graph:
        samplers.append(_start_sampler(pid, "flamegraph", target.with_suffix(".svg")))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        await work()
    for sampler in samplers:
        # It writes its file when it is interrupted.
        sampler.send_signal(signal.SIGINT)
        await asyncio.to_thread(sampler.wait)
    target.with_suffix(".top.txt").write_text(summarise(target.with_suffix(".collapsed").read_text()))


def _start_sampler(pid: int, form: str, file: Path) -> subprocess.Popen[bytes]:
    command = [find_py_spy(), "record", "--pid", str(pid), "--format", form, "--output", str(file)]
    # Nonblocking: stopping the process for each sample would change what is measured.
    command += ["--rate", str(RATE), "--nonblocking", "--duration", "unlimited"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def summarise(collapsed: str) -> str:
    """Returns the functions with the most samples: on top of the stack, and anywhere on it."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    samples = 0
    for line in collapsed.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        samples += int(count)
        functions = [frame.rpartition(":")[0] + ")" if ":" in frame else frame for frame in frames]
        own[functions[-1]] += int(count)
        lines[frames[-1]] += int(count)
        for function in set(functions):
            total[function] += int(count)
    parts = [f"{samples} samples of a busy main thread at {RATE} a second\n"]
    for title, counter in (
        ("anywhere on the stack", total),
        ("on top of the stack", own),
        ("lines on top", lines),
    ):
        parts.append(f"\n{title}\n")
        parts += [f"{count / max(samples, 1):7.1%}  {name}\n" for name, count in counter.most_common(TOP)]
    return "".join(parts)
