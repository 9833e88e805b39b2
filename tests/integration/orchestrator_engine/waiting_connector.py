"""A connector process whose one step waits until it is told to stop."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stoflow_connector_sdk import (
    ConnectorDefinition,
    ConnectorSettings,
    DirectAPIJobHandler,
    TaskContext,
    TaskResult,
    TaskSpec,
    run_connector,
)
from stoflow_service_kit.settings import load_settings


class Service:
    async def wait(self, task: TaskContext) -> TaskResult:
        await task.wait(3600)
        return TaskResult()


class Handler(DirectAPIJobHandler):
    action = "publish"

    def get_service(self) -> Service:
        return Service()

    def create_tasks(self) -> Sequence[TaskSpec]:
        return [TaskSpec("wait", 3600)]


def make_definition(_settings: ConnectorSettings) -> ConnectorDefinition:
    return ConnectorDefinition(
        marketplace="waiting", display_name="Waiting", version="1", handlers=[Handler()]
    )


if __name__ == "__main__":
    sys.exit(run_connector(make_definition, load_settings(ConnectorSettings)))
