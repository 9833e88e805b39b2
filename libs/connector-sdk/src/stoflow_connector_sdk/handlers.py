"""The classes that a connector's handlers inherit: one action a class, no I/O."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from stoflow_connector_sdk.errors import ConnectorError, DefinitionError, EffectOutcome, NeedsHumanError
from stoflow_connector_sdk.resolution import ProbeMethod, ResolvedTask, resolve
from stoflow_connector_sdk.results import Absent, Found, TaskResult, Unclear
from stoflow_connector_sdk.specs import Priority, Routing, TaskSpec
from stoflow_connector_sdk.task import EffectMode, TaskContext


class BaseJobHandler(ABC):
    """Declares the steps of one action and says which service method does each.

    Attributes:
        action: The action's name: "publish".
        options_schema: JSON Schema (2020-12) of a job's options; None accepts none.
        product_schema: JSON Schema of the task input's product (ProductSnapshot in protobuf's JSON form,
            camelCase); a product that breaks it is refused when the job is created. None accepts every
            product.
        requires_product: Whether a job needs a product.
        default_priority: Priority of a job that names none.
        default_max_retries: Retries of a job that names none.
        expire_after_seconds: How long after its creation, or the time before which it may not start, a job expires.
        routing: Which instance its commands go to.
    """

    action: ClassVar[str]
    options_schema: ClassVar[Mapping[str, Any] | None] = None
    product_schema: ClassVar[Mapping[str, Any] | None] = None
    requires_product: ClassVar[bool] = False
    default_priority: ClassVar[Priority] = Priority.NORMAL
    default_max_retries: ClassVar[int] = 3
    expire_after_seconds: ClassVar[float] = 86_400
    routing: ClassVar[Routing] = Routing.ANY

    @abstractmethod
    def get_service(self) -> object:
        """Returns the object whose methods do the steps."""

    @abstractmethod
    def create_tasks(self) -> Sequence[TaskSpec]:
        """Returns the steps in order; the same ones each time."""

    def get_service_method_name(self, task: TaskSpec) -> str:
        """Returns the name of the service method that does a step."""
        return task.name

    @cached_property
    def resolved_tasks(self) -> Mapping[str, ResolvedTask]:
        """The steps with their methods.

        Raises:
            DefinitionError: A name leads to no method, or to one with another signature; all are listed.
        """
        tasks, problems = resolve(self)
        if problems:
            raise DefinitionError(problems)
        return tasks

    async def execute(self, task: TaskContext) -> TaskResult:
        """Carries out one attempt: adopts, or probes first, when the grant says so, else calls the service method.

        Raises:
            ConnectorError: The attempt failed.
        """
        resolved = self.resolved_tasks[task.name]
        if task.effect is not None and task.effect.mode is EffectMode.ADOPT:
            if resolved.adopt is not None:
                return await resolved.adopt(task)
            return TaskResult(remote_id=task.effect.remote_id)
        if task.effect is not None and task.effect.mode is EffectMode.PROBE and resolved.probe is not None:
            adopted = await _probe_first(resolved.probe, task)
            if adopted is not None:
                return adopted
        return await resolved.method(task)


class DirectAPIJobHandler(BaseJobHandler):
    """A handler whose service calls the marketplace's HTTP API itself, through MarketplaceHttpClient."""


class VintedJobHandler(BaseJobHandler):
    """A handler whose service acts through the seller's own browser, at the instance that holds its connection."""

    routing: ClassVar[Routing] = Routing.SESSION


async def _probe_first(probe: ProbeMethod, task: TaskContext) -> TaskResult | None:
    """Returns the result to adopt, or None when the effect is certainly absent."""
    try:
        if (adopted := await _probe_once(probe, task)) is not None:
            return adopted
        assert task.effect is not None  # noqa: S101 - for the type checker
        waited = task.clock.monotonic() - task.granted_at
        if (remaining := task.effect.settle_remaining_seconds - waited) > 0:
            await task.wait(remaining)
            # What was sent just before the grant may have appeared only now.
            return await _probe_once(probe, task)
    except ConnectorError as error:
        # The request that failed is this probe's own; what an earlier attempt sent is as unknown as before.
        if error.effect is EffectOutcome.NOT_SENT:
            error.effect = EffectOutcome.UNKNOWN
        raise
    return None


async def _probe_once(probe: ProbeMethod, task: TaskContext) -> TaskResult | None:
    match await probe(task):
        case Found(result):
            return result
        case Absent():
            return None
        case Unclear(reason):
            raise NeedsHumanError(reason, effect=EffectOutcome.UNKNOWN, code="PROBE_UNCLEAR")
