"""The connector's real services against the sandbox's real process, each exchange judged."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from stoflow_connector_sdk.task import set_current_task
from stoflow_sandbox.marketplaces.control import SandboxControl
from tests.contract.connector_ebay.exchanges import Judge, add_to_report
from tests.contract.connector_ebay.publishing import Catalogue, Publishing
from tests.contract.openapi import ContractChecker

_checkers: list[ContractChecker] = []


@pytest.fixture(autouse=True)
def judge(contract_checker: ContractChecker) -> Iterator[Judge]:
    """On for every test of this folder: whatever any client sends or receives must obey the documents."""
    if contract_checker not in _checkers:
        _checkers.append(contract_checker)
    judge = Judge(contract_checker)
    with judge.on():
        yield judge
    assert not judge.violations, "\n".join(str(violation) for violation in judge.violations)


@pytest.fixture(scope="session")
def ebay_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one sandbox process for the run."""
    folder = tmp_path_factory.mktemp("ebay")
    ready = folder / "ready.json"
    environment = {
        **os.environ,
        "HTTP_ADDRESS": "127.0.0.1:0",
        "READY_FILE": str(ready),
        "ALLOW_HTTP_IMAGE_URLS": "true",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "stoflow_sandbox.marketplaces.ebay"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield f"http://{_wait_for(ready, process, folder / 'log')}"
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(ready: Path, process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 30
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"the eBay sandbox does not serve:\n{log.read_text()}")
        time.sleep(0.02)
    address: str = json.loads(ready.read_text())["http_address"]
    return address


@pytest.fixture(scope="session")
def catalogue() -> Iterator[Catalogue]:
    """An HTTP server that gives out product pictures at addresses of its own."""
    catalogue = Catalogue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = catalogue.pictures.get(self.path)
            self.send_response(200 if data is not None else 403)
            self.send_header("content-type", "image/jpeg")
            self.send_header("content-length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    catalogue.base_url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield catalogue
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def control(ebay_address: str) -> Iterator[SandboxControl]:
    """The sandbox's control, with all faults gone afterwards."""
    with SandboxControl(ebay_address) as control:
        yield control
        control.clear_faults()


@pytest.fixture
async def publishing(control: SandboxControl, catalogue: Catalogue) -> AsyncIterator[Publishing]:
    """A connector, a seller of its own at the sandbox, and a product with three pictures."""
    username = f"seller-{uuid.uuid4().hex[:12]}"
    seller = control.seed_seller(username, client_id="StoFlow-tests", client_secret="secret-of-the-tests")
    publishing = Publishing(control, seller, catalogue)
    yield publishing
    set_current_task(None)
    await publishing.aclose()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Adds what was exercised to the run's report, and prints it."""
    operations: dict[str, dict[str, int]] = {}
    for checker in _checkers:
        operations.update(checker.report())
    if not operations:
        return
    merged = add_to_report(operations)["operations"]
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    reporter.write_line("")
    reporter.write_line("operations of eBay's API that were exercised, with their statuses:")
    for operation, statuses in merged.items():
        counts = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
        reporter.write_line(f"  {operation:32} {counts}")
