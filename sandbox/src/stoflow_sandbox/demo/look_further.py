"""Command lines to call the running services by hand."""

from __future__ import annotations

import json
import os
import shlex
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stoflow_sandbox.demo.addresses import Addresses
from stoflow_sandbox.demo.report import Report

# buf would otherwise keep a cache in the home folder.
BUF_CACHE = ".cache/buf"
BUF_OPTIONS = "--protocol grpc --http2-prior-knowledge"


@dataclass(frozen=True, slots=True)
class _Call:
    address: str
    method: str
    body: dict[str, Any]

    @property
    def data(self) -> str:
        return shlex.quote(json.dumps(self.body))


def grpcurl_lines(addresses: Addresses, report: Report) -> list[str]:
    """Returns lines for grpcurl, which a person installs."""
    listing = [f"grpcurl -plaintext {addresses.orchestrator} list"]
    return listing + [
        f"grpcurl -plaintext -d {call.data} {call.address} {call.method}"
        for call in _calls(addresses, report)
    ]


def buf_lines(addresses: Addresses, report: Report) -> list[str]:
    """Returns lines for buf, which is in the environment already."""
    buf = f"BUF_CACHE_DIR={BUF_CACHE} {shlex.quote(_find_buf())} curl {BUF_OPTIONS}"
    listing = [f"{buf} --list-methods http://{addresses.orchestrator}"]
    return listing + [
        f"{buf} -d {call.data} http://{call.address}/{call.method}" for call in _calls(addresses, report)
    ]


def _calls(addresses: Addresses, report: Report) -> Iterator[_Call]:
    # JSON of protobuf writes an int64 as a string.
    tenant = {"tenantId": str(report.tenant_id)}
    for job_id in report.jobs.values():
        yield _Call(addresses.orchestrator, "stoflow.jobs.v1.JobService/GetJob", {**tenant, "jobId": job_id})
    live = {**tenant, "states": ["LISTING_STATE_LIVE"]}
    yield _Call(addresses.orchestrator, "stoflow.catalog.v1.ListingService/ListListings", live)
    yield _Call(addresses.stats, "stoflow.stats.v1.StatsService/GetMarketplaceStats", tenant)


def _find_buf() -> str:
    path = Path(sysconfig.get_path("scripts")) / "buf"
    here = Path.cwd()
    return os.path.relpath(path, here) if path.is_relative_to(here) else str(path)
