"""A connector whose service does what a test says."""

from collections.abc import Awaitable, Callable, Sequence

from stoflow_connector_sdk import (
    Absent,
    ConnectorDefinition,
    DirectAPIJobHandler,
    Found,
    Once,
    TaskContext,
    TaskResult,
    TaskSpec,
    TokenRefresher,
    Unclear,
)

Step = Callable[[TaskContext], Awaitable[TaskResult]]
Probe = Callable[[TaskContext], Awaitable[Found | Absent | Unclear]]


async def succeed(task: TaskContext) -> TaskResult:
    return TaskResult(remote_id="made" if task.effect is not None else "")


async def absent(task: TaskContext) -> Found | Absent | Unclear:
    return Absent()


class ScriptedService:
    """Calls the functions of the test and remembers the contexts it was given."""

    def __init__(self, step: Step = succeed, probe: Probe = absent) -> None:
        self.on_step = step
        self.on_probe = probe
        self.steps: list[TaskContext] = []
        self.probes: list[TaskContext] = []

    async def step(self, task: TaskContext) -> TaskResult:
        self.steps.append(task)
        return await self.on_step(task)

    async def make(self, task: TaskContext) -> TaskResult:
        self.steps.append(task)
        return await self.on_step(task)

    async def probe(self, task: TaskContext) -> Found | Absent | Unclear:
        self.probes.append(task)
        return await self.on_probe(task)


class WorkHandler(DirectAPIJobHandler):
    """One step that may repeat."""

    action = "work"

    def __init__(self, service: ScriptedService, timeout_seconds: float) -> None:
        self.service = service
        self.timeout_seconds = timeout_seconds

    def get_service(self) -> ScriptedService:
        return self.service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return [
            TaskSpec("step", self.timeout_seconds),
            TaskSpec("page", self.timeout_seconds, follow_up=True),
        ]

    def get_service_method_name(self, task: TaskSpec) -> str:
        return "step" if task.name == "page" else task.name


class MakeHandler(WorkHandler):
    """One step whose effect must happen once."""

    action = "make"
    settle_seconds = 0.05

    def create_tasks(self) -> Sequence[TaskSpec]:
        once = Once("listing", probe="probe", settle_seconds=self.settle_seconds)
        return [TaskSpec("make", self.timeout_seconds, once=once)]


def make_definition(
    service: ScriptedService, *, timeout_seconds: float = 30.0, refresher: TokenRefresher | None = None
) -> ConnectorDefinition:
    """Builds the connector."""
    return ConnectorDefinition(
        marketplace="scripted",
        display_name="Scripted",
        version="1",
        handlers=[WorkHandler(service, timeout_seconds), MakeHandler(service, timeout_seconds)],
        token_refresher=refresher,
    )
