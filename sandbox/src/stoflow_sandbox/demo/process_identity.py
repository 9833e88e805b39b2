"""Which process a pid means: numbers are used again, start times are not."""

from __future__ import annotations

import subprocess
from pathlib import Path


def find_identity(pid: int) -> str | None:
    """Returns a text that no other process with this pid ever has; None when there is no such process."""
    if Path("/proc/self/stat").exists():
        return _linux_identity(pid)
    listing = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listing.stdout.strip() or None


def _linux_identity(pid: int) -> str | None:
    try:
        # The name in parentheses may hold spaces and parentheses itself.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, start_ticks = fields[0], fields[19]
    # A zombie has ended; only its parent has not looked yet.
    return None if state == "Z" else f"{boot} {start_ticks}"
