"""Replaces itself with a command that gets a signal when the process that started it dies.

Run by path, never imported: `python -I -S lifeline_exec.py <parent pid> <signal> <command…>`. A program of
its own, because a preexec_fn would run Python in a fork of a threaded process, which may deadlock.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, death_signal, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        # A parent that died before prctl sends no signal any more.
        if os.getppid() != parent:
            os._exit(0)
    os.execv(command[0], command)  # noqa: S606 - a shell is what must not stand in between


if __name__ == "__main__":
    main()
