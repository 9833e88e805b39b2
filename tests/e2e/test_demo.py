"""`demo`: the whole system is started, tells its story, and is gone again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.program import RUN_SECONDS, Program, printed_lines, read_until
from tests.integration.sandbox.launching import IDENTITIES, make_folder_for

TASKS = [
    "ebay preflight",
    "ebay upload_image 1/3",
    "ebay upload_image 2/3",
    "ebay upload_image 3/3",
    "ebay put_inventory_item",
    "ebay create_offer",
    "ebay publish_offer",
    "etsy preflight",
    "etsy create_draft",
    "etsy upload_image 1/3",
    "etsy upload_image 2/3",
    "etsy upload_image 3/3",
    "etsy arrange_images",
    "etsy put_inventory",
    "etsy finish_draft",
    "etsy activate",
    "vinted check_product",
    "vinted upload_photo 1/3",
    "vinted upload_photo 2/3",
    "vinted upload_photo 3/3",
    "vinted create_item",
]
PAGES = {"ebay": "itm", "etsy": "listing", "vinted": "items"}


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A program in a private folder with a space in its name; nothing of it may be left."""
    folder = tmp_path / "private folder"
    folder.mkdir(mode=0o700)
    program = Program(folder)
    yield program
    left = program.wait_until_no_process()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == {}


def assert_live(program: Program, output: str) -> None:
    """Says that the same product went live everywhere, that buyers can see it, and that it was counted."""
    report = json.loads(program.report.read_text())
    assert set(report) == {"listings", "stats", "seconds"}
    assert set(report["listings"]) == set(PAGES)
    for marketplace, listing in report["listings"].items():
        assert set(listing) == {"state", "remote_id", "url"}
        assert listing["state"] == "LIVE"
        assert listing["url"].endswith(f"/{PAGES[marketplace]}/{listing['remote_id']}")
        assert listing["url"] in output
        assert f"{marketplace + ' publish':<26} 1 run(s): 1 succeeded, 0 failed" in output
    assert report["stats"] == {"success_count": 3}
    assert 0 < report["seconds"] < 100
    for task in TASKS:
        assert f"{task:<26} RUNNING       attempt 1" in output
        assert f"{task:<26} COMPLETED     attempt 1" in output
    assert_life(output)
    assert len(printed_lines(output, "grpcurl -plaintext 127.0.0.1:")) == 1
    assert "\x1b" not in output


def assert_life(output: str) -> None:
    """Says that the second product was published, updated, sold and taken off, in this order."""
    life = output[output.index("A second product: its life on eBay") :]
    said = ["LIVE", "24.00 USD", "update_price_quantity", "19.00 USD", "PAID", "end_listing", "ENDED"]
    positions = [life.index(text) for text in said]
    assert positions == sorted(positions)


def test_products_go_live_and_nothing_is_left(tmp_path: Path) -> None:
    """Demos at once, one of them an ordinary user's, end with 0, a live listing, and nothing but their reports."""
    programs = [make_program(tmp_path / str(number), identity) for number, identity in enumerate(IDENTITIES)]
    processes = [program.start("demo") for program in programs]
    outputs = [process.communicate(timeout=RUN_SECONDS) for process in processes]
    for program, process, (output, errors) in zip(programs, processes, outputs, strict=True):
        assert process.returncode == 0, output + errors
        assert_live(program, output)
        assert program.list_processes() == {}
        left = {path.name for path in program.folder.rglob("*")}
        assert left == {"home", "data of run", "build", "demo.json"}


def make_program(parent: Path, identity: tuple[str, ...]) -> Program:
    parent.mkdir()
    folder = make_folder_for(identity, parent)
    # Measuring coverage would write where this user may not.
    variables = {name: "" for name in os.environ if identity and name.startswith("COV")}
    program = Program(folder, identity=identity, **variables)
    owner = folder.stat().st_uid
    os.chown(program.home, owner, owner)
    return program


@pytest.mark.parametrize(
    ("number", "moment", "exit_code"),
    [
        (signal.SIGKILL, "RUNNING", -signal.SIGKILL),
        (signal.SIGINT, "connector-ebay", 130),
        (signal.SIGTERM, "PostgreSQL", 128 + signal.SIGTERM),
    ],
    ids=["killed", "interrupted", "terminated"],
)
def test_ended_demo_leaves_no_process(
    program: Program, number: signal.Signals, moment: str, exit_code: int
) -> None:
    """However and whenever the demo is ended, every process ends with it; at the latest the next run cleans up."""
    process = program.start("demo")
    read_until(process, moment)
    assert len(program.list_processes()) > 2
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == exit_code
    assert "Traceback" not in errors
    assert program.wait_until_no_process() == {}
    assert number == signal.SIGKILL or list(program.data.iterdir()) == []
    if number == signal.SIGKILL:
        assert len(list(program.data.glob("demo-*/"))) == 1
        cleaner = Program(program.folder, DATABASE_URL="postgresql://nobody:pw@127.0.0.1:1/none")
        assert cleaner.run("demo", "--timeout", "0.1").returncode == 1
        assert list(program.data.iterdir()) == []
    assert not program.report.exists()


def test_named_servers_are_used_and_none_is_started(tmp_path: Path, database_url: str, nats_url: str) -> None:
    """With DATABASE_URL and NATS_URL set the demo works in those servers and starts none of its own."""
    program = Program(tmp_path, DATABASE_URL=database_url, NATS_URL=nats_url)
    process = program.start("demo")
    output = read_until(process, "RUNNING")
    commands = program.list_processes().values()
    assert any("stoflow_orchestrator" in command for command in commands)
    assert not [one for one in commands if "nats-server" in one or "bin/postgres" in one]
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0, output + rest + errors
    assert_live(program, output + rest)
    assert output.count("none is started") == 2
    assert program.wait_until_no_process() == {}


@pytest.mark.parametrize(
    ("command", "variable", "value", "address"),
    [
        ("up", "DATABASE_URL", "postgresql://seller:hush@127.0.0.1:1/shop", "PostgreSQL at 127.0.0.1:1/shop"),
        ("demo", "NATS_URL", "nats://127.0.0.1:1", "NATS at 127.0.0.1:1"),
    ],
)
def test_silent_server_is_named(
    program: Program, command: str, variable: str, value: str, address: str
) -> None:
    """A server that does not answer ends the run in a bounded time, named with its address, without password."""
    result = Program(program.folder, **{variable: value}).run(command, "--timeout", "0.3")
    assert result.returncode == 1
    assert f"error: {address} ({variable}) did not answer within 0.3 s" in result.stderr
    assert "hush" not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_server_that_refuses_is_not_waited_for(program: Program, database_url: str) -> None:
    """A database that does not exist is an error at once: waiting does not make it."""
    wrong = database_url.rpartition("/")[0] + "/no_such_database"
    result = Program(program.folder, DATABASE_URL=wrong).run("demo")
    assert result.returncode == 1
    assert '"no_such_database" does not exist' in result.stderr


@pytest.mark.parametrize("command", ["demo", "up"])
def test_malformed_variables_are_named_together(program: Program, command: str) -> None:
    """Malformed variables end the run with code 2 before anything starts, each with what it expects."""
    result = Program(program.folder, DATABASE_URL="sqlite:///x", NATS_URL="localhost").run(command)
    assert result.returncode == 2
    assert (
        "DATABASE_URL is malformed; it expects postgresql://user:password@host:port/database" in result.stderr
    )
    assert "NATS_URL is malformed; it expects nats://host:port" in result.stderr
    assert not program.data.exists()


def test_service_that_does_not_start_is_shown_with_its_log(program: Program) -> None:
    """When a service refuses its settings the demo shows what it said, and keeps the logs."""
    result: subprocess.CompletedProcess[str] = Program(program.folder, LEASE_SECONDS="soon").run("demo")
    assert result.returncode == 1
    assert "LEASE_SECONDS is malformed" in result.stderr
    assert "LEASE_SECONDS" in (program.report.parent / "demo-logs" / "orchestrator.log").read_text()
