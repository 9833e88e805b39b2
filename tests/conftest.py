"""Real servers for every test that needs one, and the rules that hold for all tests."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Generator, Iterator
from typing import Any

import hypothesis
import nats
import pytest

from stoflow_sandbox.servers import NatsServer, PostgresServer

# Machines are shared and slow at times: an example's duration proves nothing.
hypothesis.settings.register_profile("default", deadline=None, max_examples=50)
hypothesis.settings.register_profile("long", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

IS_CI = os.environ.get("CI", "").lower() in {"1", "true"}


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole run."""
    with PostgresServer(tmp_path_factory.mktemp("postgres") / "data") as server:
        yield server


@pytest.fixture
def database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of an empty database that nobody else uses."""
    name = f"test_{uuid.uuid4().hex}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One NATS with JetStream for the whole run."""
    with NatsServer(tmp_path_factory.mktemp("nats") / "store") as server:
        yield server


@pytest.fixture
def nats_url(nats_server: NatsServer) -> Iterator[str]:
    """The address of a NATS without streams; what a test creates is removed after it."""
    yield nats_server.url
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(delete_streams(nats_server.url))
    finally:
        loop.close()


async def delete_streams(url: str) -> None:
    client = await nats.connect(url)
    try:
        jetstream = client.jetstream()
        for stream in await jetstream.streams_info():
            assert stream.config.name is not None
            await jetstream.delete_stream(stream.config.name)
    finally:
        await client.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuses tests without a docstring: it is the claim that the test proves."""
    nameless = [
        item.nodeid
        for item in items
        if isinstance(item, pytest.Function) and not (item.function.__doc__ or "").strip()
    ]
    if nameless:
        raise pytest.UsageError(
            "these tests have no docstring that states their claim:\n" + "\n".join(nameless)
        )


def fail_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turns a skip into a failure: CI installs what tests need, so a skip there hides a gap."""
    if IS_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI forbids: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, pytest.TestReport]:
    report: pytest.TestReport = yield
    fail_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, pytest.CollectReport]:
    report: pytest.CollectReport = yield
    fail_skip(report)
    return report
