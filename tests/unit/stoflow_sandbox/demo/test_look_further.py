"""The lines that a person copies, and what decides about success."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from stoflow_sandbox.demo.addresses import Addresses
from stoflow_sandbox.demo.look_further import buf_lines, grpcurl_lines
from stoflow_sandbox.demo.marketplaces import ShownListing
from stoflow_sandbox.demo.report import Report, write_report

ADDRESSES = Addresses("h:1/d", "h:2", "127.0.0.1:3", "h:4", "127.0.0.1:5", "h:6")
LIVE = ShownListing("LIVE", "110", "http://h/itm/110")
ENDED = ShownListing("ENDED", "111", "http://h/itm/111")


def test_lines_are_one_command_each() -> None:
    """A shell reads each line as one command whose body is JSON, the tenant's id being a string in it."""
    report = Report(tenant_id=42, jobs={"ebay": "job-1"})
    for line in [*grpcurl_lines(ADDRESSES, report)[1:], *buf_lines(ADDRESSES, report)[1:]]:
        words = shlex.split(line)
        assert json.loads(words[words.index("-d") + 1])["tenantId"] == "42"
        assert words[-1].rpartition("/")[2] in {"GetJob", "ListListings", "GetMarketplaceStats"}


def test_path_with_spaces_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of buf stays one word wherever the checkout lies."""
    scripts = tmp_path / "my checkout" / "bin"
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(scripts))
    words = shlex.split(buf_lines(ADDRESSES, Report())[0])
    assert words[:3] == ["BUF_CACHE_DIR=.cache/buf", str(scripts / "buf"), "curl"]
    monkeypatch.chdir(tmp_path)
    assert shlex.split(buf_lines(ADDRESSES, Report())[0])[1] == "my checkout/bin/buf"


@pytest.mark.parametrize(
    ("listings", "success_count", "is_success"),
    [
        ({"ebay": LIVE}, 1, True),
        ({"ebay": LIVE}, 0, False),
        ({"ebay": ENDED}, 1, False),
        ({"ebay": LIVE, "other": ENDED}, 2, False),
        ({"ebay": LIVE, "other": LIVE}, 1, False),
        ({}, 1, False),
    ],
)
def test_success_needs_every_listing_live_and_counted(
    listings: dict[str, ShownListing], success_count: int, is_success: bool
) -> None:
    """A run succeeds only when each marketplace shows the product and the statistics count each of them."""
    assert Report(listings=listings, success_count=success_count).is_success is is_success


def test_report_has_a_key_for_each_marketplace(tmp_path: Path) -> None:
    """The file holds what marketplaces and statistics said, listings by marketplace."""
    path = tmp_path / "build" / "demo.json"
    write_report(path, Report(listings={"ebay": LIVE}, success_count=1).to_json(1.23456))
    assert json.loads(path.read_text()) == {
        "listings": {"ebay": {"state": "LIVE", "remote_id": "110", "url": "http://h/itm/110"}},
        "stats": {"success_count": 1},
        "seconds": 1.235,
    }
