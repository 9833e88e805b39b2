"""A connector whose tasks do nothing: `python -m benchmarks.noop_connector`. What is measured is the way to it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import ClassVar

from stoflow_connector_sdk import (
    BaseJobHandler,
    ConnectorDefinition,
    ConnectorSettings,
    TaskContext,
    TaskResult,
    TaskSpec,
    run_connector,
)
from stoflow_service_kit.settings import load_settings

MARKETPLACE = "noop"
FOUR_STEPS = "four_steps"
ONE_STEP = "one_step"
SLEEP_50 = "sleep50"
TIMEOUT_SECONDS = 30.0
SLEEP_SECONDS = 0.05


class NoopService:
    """Stands where a connector's business logic would be."""

    async def work(self, task: TaskContext) -> TaskResult:
        return TaskResult({"step": task.name})

    async def sleep(self, task: TaskContext) -> TaskResult:
        await asyncio.sleep(SLEEP_SECONDS)
        return TaskResult({"step": task.name})


class _NoopHandler(BaseJobHandler):
    """One action of steps that all call the same method."""

    requires_product = True
    steps: ClassVar[Sequence[str]]
    method: ClassVar[str] = "work"

    def __init__(self, service: NoopService) -> None:
        self._service = service

    def get_service(self) -> NoopService:
        return self._service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return [TaskSpec(step, TIMEOUT_SECONDS) for step in self.steps]

    def get_service_method_name(self, task: TaskSpec) -> str:  # noqa: ARG002
        return self.method


class FourStepsHandler(_NoopHandler):
    """Four tasks, one after the other."""

    action = FOUR_STEPS
    steps = ("first", "second", "third", "fourth")


class OneStepHandler(_NoopHandler):
    """A job of a single task."""

    action = ONE_STEP
    steps = ("only",)


class Sleep50Handler(_NoopHandler):
    """A single task that takes 50 ms, as a quick remote call would."""

    action = SLEEP_50
    steps = ("sleep",)
    method = "sleep"


def make_definition(_settings: ConnectorSettings) -> ConnectorDefinition:
    """Returns the connector."""
    service = NoopService()
    return ConnectorDefinition(
        marketplace=MARKETPLACE,
        display_name="No-op",
        version="1",
        handlers=[FourStepsHandler(service), OneStepHandler(service), Sleep50Handler(service)],
    )


if __name__ == "__main__":
    sys.exit(run_connector(make_definition, load_settings(ConnectorSettings)))
