"""Starts processes that do not outlive this one, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

# The parent-death signal fires when the spawning *thread* ends, so every process is started by this one
# thread, which ends only with the interpreter.
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")
_PROGRAM = Path(__file__).with_name("lifeline_exec.py")


class ProcessError(Exception):
    """A process did not start, did not become ready or ended too early; the message shows its log's end."""


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    prefix: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """Starts a command in its own process group, its output appended to a log.

    Args:
        command: Program and arguments; the program is looked up on PATH.
        log: Receives standard output and error.
        environment: The whole environment; None means this process's own.
        death_signal: What the process gets when this process dies (Linux only).
        prefix: A command that changes identity and then executes the rest. The kernel forgets the
            parent-death signal when credentials change, so it stands before the part that asks for it.
    """
    program = shutil.which(command[0], path=(environment or os.environ).get("PATH"))
    if program is None:
        raise ProcessError(f"{command[0]}: no such program")
    bound = [sys.executable, "-I", "-S", str(_PROGRAM), str(os.getpid()), str(int(death_signal))]
    arguments = [*prefix, *bound, program, *(str(part) for part in command[1:])]
    return _SPAWNER.submit(_start, arguments, log, environment).result()


def _start(
    arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            # Ctrl-C in the terminal reaches only this process, which then stops the others in order.
            start_new_session=True,
        )


def tail(log: Path, lines: int = 30) -> str:
    """Returns the last lines of a log, indented, for an error message."""
    try:
        content = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "  (no log)"
    return "\n".join(f"  {line}" for line in content[-lines:]) or "  (empty log)"


def end(process: subprocess.Popen[bytes], stop_signal: signal.Signals, grace_seconds: float) -> int:
    """Asks a process to stop, kills its group when it does not in time, returns its exit code."""
    if process.poll() is None:
        process.send_signal(stop_signal)
        # A suspended process cannot react to anything but SIGKILL and this.
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            kill_group(process)
    return process.wait()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Sends SIGKILL to a process and to what it started, and waits for it."""
    if process.poll() is None:
        # It may end between poll and kill, which is what was wanted.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
