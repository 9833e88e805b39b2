"""What the demo and the keeper leave for the next run: ports, states, folders."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from stoflow_sandbox.demo.addresses import Addresses, database_address
from stoflow_sandbox.demo.folders import temporary_folders
from stoflow_sandbox.demo.ports import CHOSEN_PORTS, AnyPorts, KeptPorts
from stoflow_sandbox.demo.process_identity import find_identity
from stoflow_sandbox.demo.state_file import find_state, write_state

ADDRESSES = Addresses("h:1/d", "h:2", "h:3", "h:4", "h:5", "h:6", {"ebay": "h:7"}, {"ebay": "http://h:8"})


def test_ports_stay_until_somebody_takes_them(tmp_path: Path) -> None:
    """A server gets its earlier port again, and another one only while somebody listens there."""
    path = tmp_path / "ports.json"
    first = KeptPorts(path).choose("orchestrator")
    assert first in CHOSEN_PORTS
    assert KeptPorts(path).choose("orchestrator") == first
    assert KeptPorts(path).choose("stats") != first
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        second = KeptPorts(path).choose("orchestrator")
    assert second != first
    assert KeptPorts(path).choose("orchestrator") == second
    assert AnyPorts().choose("orchestrator") == 0


def test_spoilt_ports_file_is_replaced(tmp_path: Path) -> None:
    """A file that is no JSON costs the old ports and nothing else."""
    path = tmp_path / "ports.json"
    path.write_text("{")
    port = KeptPorts(path).choose("nats")
    assert json.loads(path.read_text()) == {"nats": port}


def test_state_of_a_living_process_is_found(tmp_path: Path) -> None:
    """What a living process wrote of itself is read back whole."""
    path = tmp_path / "state.json"
    assert find_state(path) is None
    write_state(path, None)
    state = find_state(path)
    assert state is not None
    assert (state.pid, state.addresses) == (os.getpid(), None)
    write_state(path, ADDRESSES)
    state = find_state(path)
    assert state is not None
    assert state.addresses == ADDRESSES


@pytest.mark.parametrize("change", [{"identity": "another start"}, {"pid": 2**22 + 1}, {"pid": "x"}])
def test_state_of_another_process_is_none(tmp_path: Path, change: dict[str, object]) -> None:
    """A pid that was used again, or that nobody has, or that is none, names no keeper."""
    path = tmp_path / "state.json"
    write_state(path, ADDRESSES)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert find_state(path) is None


def test_identity_is_of_the_process_not_of_the_number() -> None:
    """Two looks at one process agree, another process has another identity, and nobody has none."""
    assert find_identity(os.getpid()) == find_identity(os.getpid()) != find_identity(1)
    assert find_identity(2**22 + 1) is None


def test_temporary_folder_goes_and_abandoned_ones_with_it(tmp_path: Path) -> None:
    """A run removes its folder and those of killed runs, but never one in which another run works."""
    data = tmp_path / "data"
    abandoned = data / "demo-00000000"
    abandoned.mkdir(parents=True)
    with temporary_folders(data, keep_logs_in=tmp_path / "logs") as first:
        assert not abandoned.exists()
        assert first.root.stat().st_mode & 0o777 == 0o700
        with temporary_folders(data, keep_logs_in=tmp_path / "logs") as second:
            assert first.root.exists()
            assert second.root != first.root
    assert list(data.iterdir()) == []
    assert not (tmp_path / "logs").exists()


def test_logs_of_a_failed_run_are_kept(tmp_path: Path) -> None:
    """After a failure the folder is gone but its logs stay, in place of older ones."""
    kept = tmp_path / "logs"
    kept.mkdir()
    (kept / "old.log").touch()

    def fail() -> None:
        with temporary_folders(tmp_path / "data", keep_logs_in=kept) as folders:
            (folders.logs / "orchestrator.log").write_text("broken")
            raise ValueError("the run failed")

    with pytest.raises(ValueError, match="the run failed"):
        fail()
    assert [(one.name, one.read_text()) for one in kept.iterdir()] == [("orchestrator.log", "broken")]
    assert list((tmp_path / "data").iterdir()) == []


def test_addresses_show_no_password() -> None:
    """Of a database's URL only host, port and name are shown."""
    assert database_address("postgresql://seller:hush@db.example/shop") == "db.example:5432/shop"
    assert database_address("postgresql://seller:hush@[::1]:55/shop") == "[::1]:55/shop"
    assert Addresses.from_json(json.loads(json.dumps(ADDRESSES.to_json()))) == ADDRESSES
