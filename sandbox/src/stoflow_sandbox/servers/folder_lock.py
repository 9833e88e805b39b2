"""Keeps two launchers out of one data folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from stoflow_sandbox.servers.errors import FolderInUseError


class FolderLock:
    """An exclusive lock beside a data folder; the kernel releases it when its holder dies."""

    def __init__(self, data_folder: Path) -> None:
        self._data_folder = data_folder
        self._path = data_folder.with_name(f"{data_folder.name}.lock")
        self._fd: int | None = None

    def acquire(self) -> None:
        """Takes the lock, or raises FolderInUseError at once."""
        if self._fd is not None:
            return
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(fd, 32).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise FolderInUseError(
                f"{self._data_folder} is in use by another process (pid {holder}); stop it, "
                "or choose another folder"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
