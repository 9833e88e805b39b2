"""Keys of one installation."""

from __future__ import annotations

import base64
import stat
import uuid
from pathlib import Path

import pytest

from stoflow_sandbox.demo.errors import DemoError
from stoflow_sandbox.demo.secrets_file import load_or_create


def test_keys_are_made_once_and_kept_privately(tmp_path: Path) -> None:
    """The second start reads what the first one made; nobody else may read the file."""
    path = tmp_path / "secrets.json"
    made = load_or_create(path)
    assert load_or_create(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["secrets.json"]


def test_derived_secrets_differ_by_name_and_installation(tmp_path: Path) -> None:
    """Each name has a key of its own, the same in every run, and another in every installation."""
    one, other = load_or_create(tmp_path / "one"), load_or_create(tmp_path / "other")
    keys = [one.key("a"), one.key("b"), other.key("a"), other.key("b")]
    assert len(set(keys)) == 4
    assert all(len(base64.b64decode(key, validate=True)) == 32 for key in keys)
    assert one.key("a") == load_or_create(tmp_path / "one").key("a")
    assert set(one.token("a")).isdisjoint("+/=")


def test_request_ids_repeat_only_where_they_should(tmp_path: Path) -> None:
    """A named mutation has one request id for ever; a new one has another each time."""
    secrets = load_or_create(tmp_path / "secrets.json")
    assert secrets.request_id("tenant") == secrets.request_id("tenant") != secrets.request_id("product")
    assert secrets.new_request_id() != secrets.new_request_id()
    assert str(uuid.UUID(secrets.request_id("tenant"))) == secrets.request_id("tenant")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"installation_id": "x", "root_key": "AA=="}'])
def test_spoilt_file_is_named(tmp_path: Path, content: str) -> None:
    """A file that holds no keys is an error that names it, and is left as it is: the data depends on it."""
    path = tmp_path / "secrets.json"
    path.write_text(content)
    with pytest.raises(DemoError, match=r"secrets\.json"):
        load_or_create(path)
    assert path.read_text() == content


def test_short_key_is_refused(tmp_path: Path) -> None:
    """A root key of another length is an error that says so."""
    path = tmp_path / "secrets.json"
    path.write_text(f'{{"installation_id": "{uuid.uuid4()}", "root_key": "AAAA"}}')
    with pytest.raises(DemoError, match="root_key is 3 bytes long, not 32"):
        load_or_create(path)
