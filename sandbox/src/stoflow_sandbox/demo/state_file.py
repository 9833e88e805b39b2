"""What the process that keeps a system up says of itself."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stoflow_sandbox.demo.addresses import Addresses
from stoflow_sandbox.demo.process_identity import find_identity


@dataclass(frozen=True, slots=True)
class KeeperState:
    """A keeper that lives. `addresses` is None while it starts."""

    pid: int
    addresses: Addresses | None


def write_state(path: Path, addresses: Addresses | None) -> None:
    """Writes this process's own state."""
    content: dict[str, Any] = {
        "pid": os.getpid(),
        "identity": find_identity(os.getpid()),
        "addresses": addresses.to_json() if addresses is not None else None,
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(path)


def find_state(path: Path) -> KeeperState | None:
    """Returns the state of a keeper that lives; a file that a killed one left is no state."""
    try:
        content = json.loads(path.read_text())
        pid, identity, addresses = content["pid"], content["identity"], content["addresses"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        # Not written by this program, so it names no process that may be trusted.
        return None
    if find_identity(pid) != identity:
        return None
    return KeeperState(pid, Addresses.from_json(addresses) if addresses is not None else None)
