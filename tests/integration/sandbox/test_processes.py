"""The supervisor of one machine's services."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stoflow_sandbox import lifeline
from stoflow_sandbox.lifeline import ProcessError
from stoflow_sandbox.processes import Supervisor
from tests.integration.sandbox.launching import is_alive, wait_until_gone

# Becomes ready, then notes the moment of its orderly end.
SERVICE = """
import json, os, pathlib, signal, sys, time
def end(*_):
    with open(sys.argv[1], "a") as ends:
        ends.write(sys.argv[2] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
ready = pathlib.Path(os.environ["READY_FILE"])
half = ready.with_suffix(".half")
half.write_text(json.dumps({"pid": os.getpid(), "grpc_address": "127.0.0.1:1"}))
half.rename(ready)
while True:
    time.sleep(0.1)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('deaf', flush=True)
time.sleep(600)
"""
BROKEN = "import sys\nprint('NATS_URL is missing', file=sys.stderr)\nsys.exit(2)"
SUPERVISOR = """
import sys, time
from pathlib import Path
from stoflow_sandbox.processes import Supervisor
supervisor = Supervisor(Path(sys.argv[1]))
service = supervisor.start("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"])
print(service.pid, flush=True)
time.sleep(600)
"""


def service(name: str, ends: Path) -> list[str | Path]:
    return [sys.executable, "-c", SERVICE, ends, name]


def test_ready_service_tells_its_addresses(tmp_path: Path) -> None:
    """Waiting for a service returns what it wrote: its pid and the addresses it listens on."""
    with Supervisor(tmp_path / "logs of run") as supervisor:
        started = supervisor.start("one", service("one", tmp_path / "ends"))
        assert started.wait_ready() == {"pid": started.pid, "grpc_address": "127.0.0.1:1"}


def test_services_stop_in_reverse_order(tmp_path: Path) -> None:
    """Leaving the supervisor ends the last started service first, each in an orderly way."""
    with Supervisor(tmp_path) as supervisor:
        for name in ("first", "second", "third"):
            supervisor.start(name, service(name, tmp_path / "ends")).wait_ready()
    assert (tmp_path / "ends").read_text().split() == ["third", "second", "first"]
    assert [one.returncode for one in supervisor.services] == [0, 0, 0]


def test_service_that_dies_is_reported_with_its_log(tmp_path: Path) -> None:
    """A service that ends before it is ready is named with its exit code and the end of its log."""
    with Supervisor(tmp_path) as supervisor:
        broken = supervisor.start("broken", [sys.executable, "-c", BROKEN])
        with pytest.raises(ProcessError, match=r"(?s)broken ended with exit code 2 .*NATS_URL is missing"):
            broken.wait_ready()
        assert supervisor.find_ended() is broken


def test_service_that_is_never_ready_is_reported_with_its_log(tmp_path: Path) -> None:
    """A service that is not ready in time is named with the limit and the end of its log."""
    with Supervisor(tmp_path) as supervisor:
        deaf = supervisor.start("deaf", [sys.executable, "-c", DEAF])
        with pytest.raises(ProcessError, match=r"(?s)deaf was not ready after 1 s; .*deaf"):
            deaf.wait_ready(timeout_seconds=1)
        deaf.kill()


def test_service_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After the grace period SIGKILL ends what SIGTERM did not."""
    supervisor = Supervisor(tmp_path)
    deaf = supervisor.start("deaf", [sys.executable, "-c", DEAF])
    while "deaf" not in deaf.log.read_text():
        assert deaf.is_running
    supervisor.stop_all(grace_seconds=0.3)
    assert deaf.returncode == -signal.SIGKILL


def test_suspended_service_is_stopped_too(tmp_path: Path) -> None:
    """A frozen service is woken to end in an orderly way."""
    with Supervisor(tmp_path) as supervisor:
        frozen = supervisor.start("frozen", service("frozen", tmp_path / "ends"))
        frozen.wait_ready()
        frozen.suspend()
        assert frozen.stop() == 0


def test_killed_service_starts_again_with_a_fresh_ready_file(tmp_path: Path) -> None:
    """The ready file of the killed process is never taken for its successor's; the log goes on."""
    with Supervisor(tmp_path) as supervisor:
        one = supervisor.start("one", service("one", tmp_path / "ends"))
        first_pid = one.wait_ready()["pid"]
        one.kill()
        assert one.returncode == -signal.SIGKILL
        one.start()
        assert one.wait_ready()["pid"] == one.pid != first_pid


def test_killed_supervisor_leaves_no_service(tmp_path: Path) -> None:
    """SIGKILL of the process that started a service ends the service."""
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, tmp_path], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    assert wait_until_gone([pid]) == []


def test_service_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    """A service started from a short-lived thread goes on when that thread has ended."""
    with Supervisor(tmp_path) as supervisor:
        command = service("one", tmp_path / "ends")
        thread = threading.Thread(target=lambda: supervisor.start("one", command).wait_ready())
        thread.start()
        thread.join()
        (one,) = supervisor.services
        with pytest.raises(ProcessError, match=r"one still runs after 0\.3 s"):
            one.wait_ended(timeout_seconds=0.3)


def test_names_are_unique(tmp_path: Path) -> None:
    """Two services of one name would share a log, so the second is refused."""
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("one", service("one", tmp_path / "ends")).wait_ready()
        with pytest.raises(ProcessError, match="a service named one was started before"):
            supervisor.start("one", service("one", tmp_path / "ends"))


def test_unknown_program_is_named(tmp_path: Path) -> None:
    """A program that does not exist is an error with its name, not one of a helper in between."""
    with pytest.raises(ProcessError, match="no-such-program: no such program"):
        lifeline.spawn(["no-such-program"], log=tmp_path / "log")


def test_log_holds_both_streams(tmp_path: Path) -> None:
    """Standard output and error end in the one log."""
    with Supervisor(tmp_path) as supervisor:
        script = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
        talker = supervisor.start("talker", [sys.executable, "-c", script])
        assert talker.wait_ended(timeout_seconds=10) == 0
    assert json.dumps(talker.log.read_text().split()) == '["out", "err"]'
