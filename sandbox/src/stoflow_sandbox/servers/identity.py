"""Under which identity PostgreSQL runs: it refuses root, and a private checkout admits nobody else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from stoflow_sandbox.servers.errors import ServerError

NOBODY = 65534
# Not root inside, the same user outside: a 0700 checkout stays readable and no file changes its owner.
NAMESPACE_PREFIX = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")


def choose_identity(postgres: Path, data_folder: Path) -> tuple[str, ...]:
    """Returns the command prefix under which PostgreSQL accepts to run in this folder.

    Empty for an ordinary user. Root enters a user namespace where it is somebody else; where the kernel
    forbids that (many containers do) it becomes the owner of the data, or nobody, keeping the one
    capability that opens private folders.
    """
    if os.geteuid() != 0:
        return ()
    owner = data_folder.stat().st_uid if data_folder.exists() else None
    candidates: list[tuple[str, ...]] = []
    if owner in (None, 0):
        candidates.append(NAMESPACE_PREFIX)
    if owner != 0:
        candidates.append(_user_prefix(NOBODY if owner is None else owner))
    for prefix in candidates:
        if _is_usable(prefix, postgres, data_folder.parent):
            return prefix
    raise ServerError(
        "PostgreSQL does not run as root, and neither a user namespace (unshare) nor another user (setpriv) "
        f"can be used for {data_folder} here; run as an ordinary user, or set DATABASE_URL to your own server"
    )


def give_to_identity(folder: Path, prefix: tuple[str, ...]) -> None:
    """Makes an empty folder belong to the identity, as PostgreSQL demands of its data folder."""
    user = next((int(part.partition("=")[2]) for part in prefix if part.startswith("--reuid=")), None)
    if user is not None:
        os.chown(folder, user, user)


def _user_prefix(user: int) -> tuple[str, ...]:
    # The secure bit: access(2), by which initdb looks for postgres, ignores the capability without it.
    return (
        "setpriv", "--securebits=+no_setuid_fixup", f"--reuid={user}", f"--regid={user}", "--clear-groups",
        "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--",
    )  # fmt: skip


def _is_usable(prefix: tuple[str, ...], postgres: Path, folder: Path) -> bool:
    probe = '"$1" --version && test -w "$2" && test -x "$2"'
    try:
        result = subprocess.run(
            [*prefix, "/bin/sh", "-c", probe, "sh", str(postgres), str(folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        # A system without util-linux: this way is closed, another may be open.
        return False
    return result.returncode == 0
