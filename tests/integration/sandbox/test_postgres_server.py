"""The PostgreSQL launcher: safe, private, durable and gone with its parent."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from stoflow_sandbox.servers import PostgresServer, ServerError, identity
from stoflow_sandbox.servers.errors import FolderInUseError, PortTakenError
from tests.integration.sandbox.launching import (
    IDENTITIES,
    NOBODY,
    Launcher,
    list_processes_in,
    make_folder_for,
    wait_until_gone,
)


def fetch(url: str, query: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("password_encryption", "scram-sha-256"),
        ("server_encoding", "UTF8"),
        ("timezone", "UTC"),
    ],
)
def test_server_is_durable_and_reachable_on_loopback_only(
    postgres_server: PostgresServer, setting: str, value: str
) -> None:
    """Durability is on, and nothing but TCP on loopback with a password leads in."""
    assert fetch(postgres_server.url, f"SHOW {setting}") == value


def test_no_rule_trusts_anybody(postgres_server: PostgresServer) -> None:
    """Every line of pg_hba.conf demands a password."""
    with psycopg.connect(postgres_server.url) as connection:
        methods = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
    assert methods == [("scram-sha-256",)]


@pytest.mark.parametrize("password", ["wrong", ""])
def test_wrong_password_is_refused(postgres_server: PostgresServer, password: str) -> None:
    """A wrong or missing password opens no connection."""
    with pytest.raises(psycopg.OperationalError, match=r"password"):
        psycopg.connect(
            host="127.0.0.1", port=postgres_server.port, user="stoflow", dbname="stoflow", password=password
        )


def test_each_test_gets_an_empty_database(database_url: str) -> None:
    """A fresh database holds no table and its address works."""
    count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    assert fetch(database_url, count) == "0"


def test_private_folder_stays_private(tmp_path: Path) -> None:
    """A 0700 folder with a space in its path, under umask 077, keeps its permissions."""
    folder = tmp_path / "private folder"
    folder.mkdir(mode=0o700)
    previous = os.umask(0o077)
    try:
        with PostgresServer(folder / "postgres data") as server:
            assert fetch(server.url, "SELECT 1") == "1"
    finally:
        os.umask(previous)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "postgres data.password").stat().st_mode) == 0o600


def test_committed_rows_survive_a_crash_and_a_restart(tmp_path: Path) -> None:
    """After SIGKILL and after a restart the port is the same and the rows are there."""
    with PostgresServer(tmp_path / "data") as server:
        url = server.url
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
        server.kill()
        server.start()
        assert fetch(url, "SELECT number FROM kept") == "42"
        server.restart()
        assert fetch(url, "SELECT number FROM kept") == "42"
    with PostgresServer(tmp_path / "data") as server:
        assert fetch(server.url, "SELECT number FROM kept") == "42"


def test_two_servers_run_at_once(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """Two folders give two servers, each answering from its own data."""
    with PostgresServer(tmp_path / "data") as other:
        folders = {fetch(server.url, "SHOW data_directory") for server in (postgres_server, other)}
    assert len(folders) == 2


def test_second_start_in_a_used_folder_is_refused(tmp_path: Path) -> None:
    """A folder in use is refused with its name and the holder's pid, and its server goes on."""
    with PostgresServer(tmp_path / "data") as server:
        with pytest.raises(
            FolderInUseError, match=rf"data is in use by another process \(pid {os.getpid()}\)"
        ):
            PostgresServer(tmp_path / "data").start()
        assert fetch(server.url, "SELECT 1") == "1"


def test_stale_pid_file_of_another_program_does_not_block(tmp_path: Path) -> None:
    """A postmaster.pid whose number now belongs to another program is removed, not obeyed."""
    with PostgresServer(tmp_path / "data") as server:
        server.kill()
        pid_file = tmp_path / "data" / "postmaster.pid"
        wait_until_gone(list_processes_in(tmp_path / "data"))
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
            lines = pid_file.read_text().splitlines()
            pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
            server.start()
            assert fetch(server.url, "SELECT 1") == "1"
            stranger.communicate(b"\n")


def test_interrupted_initialisation_is_begun_again(tmp_path: Path) -> None:
    """What an interrupted initdb left behind neither counts as a database nor blocks the next start."""
    unfinished = tmp_path / "data.unfinished"
    unfinished.mkdir(mode=0o700)
    (unfinished / "PG_VERSION").write_text("18\n")
    (tmp_path / "data.password").write_text("of the first try")
    with PostgresServer(tmp_path / "data") as server:
        assert fetch(server.url, "SELECT 1") == "1"
    assert not unfinished.exists()


def test_lost_password_file_is_named(tmp_path: Path) -> None:
    """Data without its password file is refused with the file's name, and is not initialised anew."""
    with PostgresServer(tmp_path / "data") as server:
        fetch(server.url, "SELECT 1")
    (tmp_path / "data.password").unlink()
    with pytest.raises(ServerError, match=r"password file .*data\.password is gone"):
        PostgresServer(tmp_path / "data").start()
    assert (tmp_path / "data" / "PG_VERSION").exists()


def test_taken_port_is_named(tmp_path: Path) -> None:
    """A chosen port that another process listens on is an error that names it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"127\.0\.0\.1:{port}"):
            PostgresServer(tmp_path / "data", port=port).start()
    assert list_processes_in(tmp_path / "data") == []


@pytest.mark.parametrize("user", IDENTITIES, ids=["this user", "ordinary user"][: len(IDENTITIES)])
def test_killed_launcher_leaves_no_process_and_loses_nothing(tmp_path: Path, user: tuple[str, ...]) -> None:
    """SIGKILL of the launcher ends every PostgreSQL process, and the next launcher finds the rows."""
    folder = make_folder_for(user, tmp_path) / "data"
    launcher = Launcher("postgres", folder, user)
    with psycopg.connect(launcher.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
    processes = list_processes_in(folder)
    assert launcher.server_pid in processes

    launcher.kill()

    assert wait_until_gone(processes) == []
    successor = Launcher("postgres", folder, user)
    try:
        assert fetch(successor.url, "SELECT number FROM kept") == "42"
    finally:
        successor.kill()
    assert wait_until_gone([successor.server_pid]) == []


def test_successor_of_a_killed_launcher_may_start_at_once(tmp_path: Path) -> None:
    """A launcher started while its killed predecessor's server still shuts down waits for it and starts."""
    launcher = Launcher("postgres", tmp_path / "data")
    launcher.kill()
    with PostgresServer(tmp_path / "data") as server:
        assert fetch(server.url, "SELECT 1") == "1"


if os.geteuid() == 0:

    def test_root_without_user_namespaces_runs_it_as_nobody(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the kernel forbids user namespaces, root's server runs as nobody, in a private folder too."""
        monkeypatch.setattr(identity, "NAMESPACE_PREFIX", ("/bin/false",))
        folder = make_folder_for((), tmp_path) / "data"
        with PostgresServer(folder) as server:
            assert fetch(server.url, "SELECT 1") == "1"
            assert Path(f"/proc/{server.pid}").stat().st_uid == NOBODY
            processes = list_processes_in(folder)
        assert wait_until_gone(processes) == []
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700

    def test_root_without_any_way_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Root on a system that offers neither way reads that an ordinary user or DATABASE_URL helps."""
        monkeypatch.setattr(identity, "NAMESPACE_PREFIX", ("/bin/false",))
        monkeypatch.setattr(identity, "_user_prefix", lambda _: ("/nonexistent/setpriv",))
        with pytest.raises(ServerError, match="run as an ordinary user, or set DATABASE_URL"):
            PostgresServer(tmp_path / "data").start()
        assert not (tmp_path / "data").exists()
