"""Revisions that databases have run stay as they were; what changes comes in a new one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import stoflow_orchestrator.migrations

FOLDER = Path(stoflow_orchestrator.migrations.__file__).parent
# SHA-256 of the files, as they were published.
PUBLISHED = {
    "public/versions/0001_first_tables.py": "30b22a74fc894c60290cbdb52b4cb2c7458ae4bdbe61636e0163613361b34055",
    "tenant/versions/0001_first_tables.py": "fd357cfa286bfa97d904872b8f8bf079596ded1b3e6178ae293e3da71d0888f4",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_revision_is_unchanged(name: str) -> None:
    """A database that has run it would never get what is added to it later."""
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == PUBLISHED[name]
