"""Starts servers from another process, under another identity, and looks at what is left of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

NOBODY = 65534
# Another user, who may still read this interpreter when it lies in a private home.
ORDINARY_USER = (
    "setpriv", "--securebits=+no_setuid_fixup", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--",
)  # fmt: skip
# Prefixes under which a launcher can be run from here; an ordinary user can only be itself.
IDENTITIES = [(), ORDINARY_USER] if os.geteuid() == 0 else [()]

PROGRAM = """
import sys, time
from pathlib import Path
from stoflow_sandbox.servers import NatsServer, PostgresServer
server = {"postgres": PostgresServer, "nats": NatsServer}[sys.argv[1]](Path(sys.argv[2]))
with server:
    print(server.pid, server.url, flush=True)
    time.sleep(600)
"""


class Launcher:
    """A process that holds one server and can be killed."""

    def __init__(self, kind: str, folder: Path, identity: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [*identity, sys.executable, "-c", PROGRAM, kind, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the launcher ended: {self._process.communicate()[1]}")
        pid, self.url = line.split()
        self.server_pid = int(pid)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def make_folder_for(identity: tuple[str, ...], parent: Path) -> Path:
    """Makes a private folder that belongs to the identity."""
    folder = parent / "private folder"
    folder.mkdir(mode=0o700)
    if identity:
        # Root's temporary folders are private as a whole; only the way down is opened, not the content.
        for ancestor in (parent, *parent.parents[:2]):
            ancestor.chmod(0o711)
        os.chown(folder, NOBODY, NOBODY)
    return folder


def list_processes_in(folder: Path) -> list[int]:
    """Returns the processes whose working directory is this folder, as all of PostgreSQL's are."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder.resolve():
                found.append(int(entry.name))
        except OSError:
            # Ended meanwhile, or somebody else's.
            continue
    return found


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    # A zombie has ended; only its new parent has not looked yet.
    return state != "Z"


def wait_until_gone(pids: list[int], seconds: float = 10) -> list[int]:
    """Returns those still alive at the deadline."""
    deadline = time.monotonic() + seconds
    while (alive := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive
