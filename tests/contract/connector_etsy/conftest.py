"""The connector's real services against the sandbox's real process, each exchange judged by Etsy's document."""

from __future__ import annotations

import http.server
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from stoflow_connector_sdk.task import set_current_task
from stoflow_sandbox.marketplaces.etsy.control import EtsySandboxControl
from stoflow_sandbox.processes import Supervisor
from tests.contract.connector_ebay.exchanges import Judge
from tests.contract.connector_ebay.publishing import Catalogue
from tests.contract.connector_etsy.selling import Selling
from tests.contract.etsy_openapi import EtsyContractChecker

COMMAND = [sys.executable, "-m", "stoflow_sandbox.marketplaces.etsy"]
_checkers: list[EtsyContractChecker] = []


@pytest.fixture(scope="session")
def etsy_checker() -> EtsyContractChecker:
    """One checker for the run; without the document what uses it skips."""
    checker = EtsyContractChecker()
    if reason := checker.absent_reason:
        pytest.skip(reason)
    _checkers.append(checker)
    return checker


@pytest.fixture(autouse=True)
def judge(etsy_checker: EtsyContractChecker) -> Iterator[Judge]:
    """On for every test of this folder: whatever any client sends or receives must obey the document."""
    judge = Judge(etsy_checker)
    with judge.on():
        yield judge
    assert not judge.violations, "\n".join(str(violation) for violation in judge.violations)


@pytest.fixture(scope="session")
def etsy_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one sandbox process for the run."""
    with Supervisor(tmp_path_factory.mktemp("etsy")) as supervisor:
        service = supervisor.start("etsy", COMMAND, {"HTTP_ADDRESS": "127.0.0.1:0"})
        yield f"http://{service.wait_ready()['http_address']}"


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
def control(etsy_address: str) -> Iterator[EtsySandboxControl]:
    """The sandbox's control, with all faults gone afterwards."""
    with EtsySandboxControl(etsy_address) as control:
        yield control
        control.clear_faults()


@pytest.fixture
async def selling(control: EtsySandboxControl, catalogue: Catalogue) -> AsyncIterator[Selling]:
    """A connector, a seller and an application of its own at the sandbox, and a product with three pictures."""
    name = f"seller-{uuid.uuid4().hex[:12]}"
    shop = control.seed_shop(name, client_id=f"key-{name}", client_secret="hush-of-the-tests")
    selling = Selling(control, shop, catalogue)
    yield selling
    set_current_task(None)
    await selling.aclose()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Prints which operations of Etsy's API were exercised, with their statuses."""
    operations: dict[str, dict[str, int]] = {}
    for checker in _checkers:
        operations.update(checker.report())
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not operations or reporter is None:
        return
    reporter.write_line("")
    reporter.write_line("operations of Etsy's API that were exercised, with their statuses:")
    for operation, statuses in operations.items():
        counts = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
        reporter.write_line(f"  {operation:32} {counts}")
