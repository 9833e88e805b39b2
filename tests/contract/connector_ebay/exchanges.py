"""Every exchange of every client in this process, judged by the official documents."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from stoflow_connector_sdk.http.hooks import request_hooks, response_hooks
from tests.contract.etsy_openapi import EtsyContractChecker
from tests.contract.openapi import ContractChecker, ContractError

REPORT = Path(__file__).resolve().parents[3] / "build" / "contract-operations.json"
_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"pid-{os.getpid()}"


@dataclass(slots=True)
class Judge:
    """Collects the violations of one test.

    Attributes:
        checker: The documents.
        violations: Those that the test has not spoken of.
        exchanges: What was sent and answered, in order.
    """

    checker: ContractChecker | EtsyContractChecker
    violations: list[ContractError] = field(default_factory=list)
    exchanges: list[tuple[str, str, int]] = field(default_factory=list)

    async def on_request(self, request: httpx.Request) -> None:
        """Judges a request before it leaves, also one that will never be answered."""
        # A multipart body is a stream until it is read.
        await request.aread()
        if self.checker.covers(request.url.path):
            self._collect(lambda: self.checker.check_request(request))

    async def on_response(self, response: httpx.Response) -> None:
        """Judges an answer."""
        request = response.request
        if self.checker.covers(request.url.path):
            self.exchanges.append((request.method, request.url.path, response.status_code))
            self._collect(lambda: self.checker.check_response(request, response))

    @contextmanager
    def on(self) -> Iterator[None]:
        """Judges while the block runs."""
        request_hooks.append(self.on_request)
        response_hooks.append(self.on_response)
        try:
            yield
        finally:
            request_hooks.remove(self.on_request)
            response_hooks.remove(self.on_response)

    def take(self, operation: str, side: str) -> list[ContractError]:
        """Returns the violations that a test has provoked, and forgets them."""
        taken = [one for one in self.violations if (one.operation, one.side) == (operation, side)]
        self.violations = [one for one in self.violations if one not in taken]
        return taken

    def _collect(self, check: Any) -> None:
        try:
            check()
        except ContractError as error:
            self.violations.append(error)


def add_to_report(operations: dict[str, dict[str, int]], report: Path = REPORT) -> dict[str, Any]:
    """Adds this process's counts to the run's report and returns it; another run's report is replaced."""
    report.parent.mkdir(parents=True, exist_ok=True)
    with report.with_suffix(".lock").open("w") as lock:
        # Several test processes of one run end at about the same time.
        fcntl.flock(lock, fcntl.LOCK_EX)
        merged = _read(report)
        if merged.get("run") != _RUN:
            merged = {"run": _RUN, "operations": {}}
        for operation, statuses in operations.items():
            counts = merged["operations"].setdefault(operation, {})
            for status, count in statuses.items():
                counts[status] = counts.get(status, 0) + count
        partial = report.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(merged, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        partial.replace(report)
    return merged


def _read(report: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(report.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content
