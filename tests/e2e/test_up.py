"""`up`, `status`, `down`: the system stays, and its data survives."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.program import Program, printed_lines


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, str]]:
    """A system that was brought up, and what was printed; each test leaves it up."""
    folder = tmp_path_factory.mktemp("up") / "private folder"
    folder.mkdir(mode=0o700)
    program = Program(folder)
    result = program.run("up")
    try:
        assert result.returncode == 0, result.stdout + result.stderr
        yield program, result.stdout
    finally:
        stopped = program.run("down").stdout
        left = program.wait_until_no_process()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert left == {}
        assert stopped.startswith("Stopped; the data stays in ")


def read_status(program: Program) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(program.run("status", "--json").stdout)
    return status


def test_printed_lines_for_buf_run(running: tuple[Program, str]) -> None:
    """Every printed `buf curl` line answers as it stands and stays inside the folder."""
    program, output = running
    lines = printed_lines(output, "BUF_CACHE_DIR=")
    assert len(lines) == 6
    answers = [program.run_line(line) for line in lines]
    assert [answer.returncode for answer in answers] == [0] * 6, answers
    methods, ebay_job, etsy_job, vinted_job, listings, stats = (answer.stdout for answer in answers)
    assert "stoflow.jobs.v1.JobService/CreateJob" in methods
    for marketplace, job in (("ebay", ebay_job), ("etsy", etsy_job), ("vinted", vinted_job)):
        shown = json.loads(job)["job"]
        assert (shown["marketplace"], shown["state"]) == (marketplace, "JOB_STATE_COMPLETED")
    states = [listing["state"] for listing in json.loads(listings)["listings"]]
    assert states == ["LISTING_STATE_LIVE"] * 3
    counted = {(one["marketplace"], one["action"]): one["successCount"] for one in json.loads(stats)["stats"]}
    # On eBay the product that stays, and the second one, which was sold.
    assert counted == {
        ("ebay", "publish"): "2",
        ("ebay", "update"): "1",
        ("ebay", "sync_orders"): "1",
        ("ebay", "delete"): "1",
        ("etsy", "publish"): "1",
        ("vinted", "publish"): "1",
    }
    assert list(program.home.iterdir()) == []


def test_lines_for_grpcurl_ask_the_same(running: tuple[Program, str]) -> None:
    """The grpcurl lines name the same addresses, methods and bodies as those for buf."""
    _, output = running
    grpcurl = [line.split("-d ", 1)[1] for line in printed_lines(output, "grpcurl -plaintext -d")]
    buf = [line.split("-d ", 1)[1] for line in printed_lines(output, "BUF_CACHE_DIR=") if "-d " in line]
    assert grpcurl == [line.replace("http://", "").replace("/stoflow.", " stoflow.") for line in buf]


def test_status_tells_addresses_that_answer(running: tuple[Program, str]) -> None:
    """Status gives the real addresses: services serve there, metrics and the listing's page are readable."""
    program, _ = running
    status = read_status(program)
    assert status["state"] == "up"
    assert status["health"] == {"orchestrator": "SERVING", "stats-service": "SERVING"}
    addresses = status["addresses"]
    for name in ("orchestrator_http", "stats_http"):
        assert httpx.get(f"http://{addresses[name]}/metrics").status_code == 200
    for listing in json.loads(program.report.read_text())["listings"].values():
        page = httpx.get(listing["url"])
        assert page.status_code == 200
        assert "Linen summer dress" in page.text


def test_second_up_finds_it_up(running: tuple[Program, str]) -> None:
    """Bringing up what is up changes nothing, says so, and publishes no second listing."""
    program, _ = running
    before = read_status(program)
    result = program.run("up")
    assert result.returncode == 0
    assert "it is up already" in result.stdout
    assert "live on eBay since an earlier run" in result.stdout
    assert "live on Etsy since an earlier run" in result.stdout
    assert "live on Vinted since an earlier run" in result.stdout
    assert read_status(program) == before
    assert "it was sold and taken off in an earlier run" in result.stdout
    assert json.loads(program.report.read_text())["stats"] == {"success_count": 4}


def test_killed_service_comes_back(running: tuple[Program, str]) -> None:
    """A service that dies is started again at the same address."""
    program, _ = running
    before = read_status(program)
    (pid,) = [one for one, text in program.list_processes().items() if "-m stoflow_stats_service" in text]
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while program.run("status").returncode != 0 or pid in program.list_processes():
        assert time.monotonic() < deadline
    assert read_status(program) == before


def test_data_survives_a_kill(running: tuple[Program, str]) -> None:
    """A killed keeper takes all its processes along; the next run has the same data at the same addresses."""
    program, _ = running
    before = read_status(program)
    os.kill(before["pid"], signal.SIGKILL)
    assert program.wait_until_no_process() == {}
    status = program.run("status")
    assert (status.returncode, status.stdout) == (1, "It is down.\n")
    listings = json.loads(program.report.read_text())["listings"]
    result = program.run("up", "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    after = json.loads(result.stdout)
    assert after["listings"] == listings
    assert after["addresses"] == before["addresses"]
    assert after["stats"] == {"success_count": 4}


def test_interrupted_up_stops_what_it_started(tmp_path: Path) -> None:
    """Ctrl-C while the system comes up leaves nothing running."""
    program = Program(tmp_path)
    process = program.start("up")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert program.wait_until_no_process() == {}


def test_stale_state_names_no_process(tmp_path: Path) -> None:
    """A state file of a killed run whose pid now belongs to another process is not taken for it."""
    program = Program(tmp_path)
    folder = program.data / "up"
    folder.mkdir(parents=True)
    stale = {"pid": os.getpid(), "identity": "another start", "addresses": None}
    (folder / "state.json").write_text(json.dumps(stale))
    assert program.run("status").stdout == "It is down.\n"
    assert program.run("down").stdout == "Nothing is up.\n"
    assert not (folder / "state.json").exists()
