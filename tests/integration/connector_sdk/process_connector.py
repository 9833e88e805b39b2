"""A connector as a process, for tests that send it signals: reads /first, then changes /second."""

import asyncio
import sys
from collections.abc import Sequence

from pydantic import Field

from stoflow_connector_sdk import (
    ConnectorDefinition,
    ConnectorSettings,
    DirectAPIJobHandler,
    MarketplaceHttpClient,
    TaskContext,
    TaskResult,
    TaskSpec,
    run_connector,
)
from stoflow_service_kit.settings import HttpUrl, load_settings

REQUEST_TIMEOUT_SECONDS = 0.4
PAUSE_SECONDS = 0.5


class ProcessSettings(ConnectorSettings):
    remote_url: HttpUrl
    method_name: str = Field(default="work")


class Service:
    def __init__(self, client: MarketplaceHttpClient) -> None:
        self.client = client

    async def work(self, task: TaskContext) -> TaskResult:
        await self.client.request("GET", "/first", timeout_seconds=REQUEST_TIMEOUT_SECONDS)
        # Time for a test to stop the process between its requests.
        await asyncio.sleep(PAUSE_SECONDS)
        await self.client.request("POST", "/second", json={"a": 1}, timeout_seconds=REQUEST_TIMEOUT_SECONDS)
        return TaskResult()

    async def wait(self, task: TaskContext) -> TaskResult:
        await self.client.request("GET", "/first", timeout_seconds=REQUEST_TIMEOUT_SECONDS)
        await task.wait(3600)
        return TaskResult()


class Handler(DirectAPIJobHandler):
    action = "work"

    def __init__(self, service: Service, method_name: str) -> None:
        self.service = service
        self.method_name = method_name

    def get_service(self) -> Service:
        return self.service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return [TaskSpec("work", 60)]

    def get_service_method_name(self, task: TaskSpec) -> str:
        return self.method_name


def make_definition(settings: ProcessSettings) -> ConnectorDefinition:
    client = MarketplaceHttpClient(settings.remote_url)
    return ConnectorDefinition(
        marketplace="process",
        display_name="Process",
        version="1",
        handlers=[Handler(Service(client), settings.method_name)],
        closers=[client.aclose],
    )


if __name__ == "__main__":
    sys.exit(run_connector(make_definition, load_settings(ProcessSettings)))
