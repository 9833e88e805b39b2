"""Where everything of one run lies."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stoflow_sandbox.servers.errors import FolderInUseError
from stoflow_sandbox.servers.folder_lock import FolderLock

TEMPORARY_PREFIX = "demo-"


@dataclass(frozen=True, slots=True)
class Folders:
    """The data folder of one run, private to its user."""

    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "postgres" / "data"

    @property
    def nats(self) -> Path:
        return self.root / "nats" / "store"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def secrets_file(self) -> Path:
        return self.root / "secrets.json"

    @property
    def ports_file(self) -> Path:
        return self.root / "ports.json"

    @property
    def state_file(self) -> Path:
        return self.root / "state.json"

    def sandbox(self, marketplace: str) -> Path:
        """Where the sandbox of a marketplace keeps its sellers, listings and pictures."""
        return self.root / "sandboxes" / marketplace

    def browser(self, marketplace: str) -> Path:
        """Where the scripted browser of a marketplace keeps what it is known by and remembers."""
        return self.root / "browsers" / marketplace

    def create(self) -> None:
        self.root.parent.mkdir(parents=True, exist_ok=True)
        # It holds keys and a database; the servers' own files are private besides.
        self.root.mkdir(mode=0o700, exist_ok=True)
        self.logs.mkdir(exist_ok=True)


@contextmanager
def temporary_folders(parent: Path, *, keep_logs_in: Path) -> Iterator[Folders]:
    """Makes a data folder that is removed at the end; after a failure its logs are kept.

    Args:
        parent: Where the folder is made. What killed runs left there is removed.
        keep_logs_in: Receives the logs when the block raises; replaced whole.
    """
    parent = parent.resolve()
    parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(parent)
    folders = Folders(parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}")
    # Locked before it exists, so that a run that starts meanwhile does not take it for an abandoned one.
    lock = FolderLock(folders.root)
    lock.acquire()
    try:
        folders.create()
        yield folders
    except Exception:
        shutil.rmtree(keep_logs_in, ignore_errors=True)
        shutil.copytree(folders.logs, keep_logs_in)
        raise
    finally:
        _remove(folders.root)
        lock.release()


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{TEMPORARY_PREFIX}*/"):
        lock = FolderLock(folder)
        try:
            lock.acquire()
        except FolderInUseError:
            # Another run works there.
            continue
        _remove(folder)
        lock.release()


def _remove(folder: Path) -> None:
    # The servers of a killed run may still write their last files; the next run removes what is left then.
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
