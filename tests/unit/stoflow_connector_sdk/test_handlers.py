import asyncio
from collections.abc import Sequence

import pytest

from stoflow_connector_sdk import (
    Absent,
    DefinitionError,
    DirectAPIJobHandler,
    EffectGrant,
    EffectMode,
    EffectOutcome,
    Found,
    NeedsHumanError,
    Once,
    PermanentError,
    RetryableError,
    StopRequestedError,
    TaskContext,
    TaskResult,
    TaskSpec,
    Unclear,
)
from stoflow_connector_sdk.testing import make_task_context
from stoflow_service_kit.clock import ManualClock, settle

CREATED = TaskResult(remote_id="created")
ADOPTED = TaskResult(remote_id="adopted")
Answer = Found | Absent | Unclear | Exception


class Service:
    """Answers probes from a list and records what was called."""

    def __init__(self, *probes: Answer) -> None:
        self.probes = list(probes)
        self.calls: list[str] = []

    async def create(self, task: TaskContext) -> TaskResult:
        self.calls.append("create")
        return CREATED

    async def adopt(self, task: TaskContext) -> TaskResult:
        self.calls.append("adopt")
        assert task.effect is not None
        return TaskResult({"id": task.effect.remote_id}, remote_id=task.effect.remote_id)

    async def probe(self, task: TaskContext) -> Found | Absent | Unclear:
        self.calls.append("probe")
        answer = self.probes.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Handler(DirectAPIJobHandler):
    action = "publish"

    def __init__(self, service: Service) -> None:
        self.service = service

    def get_service(self) -> Service:
        return self.service

    def create_tasks(self) -> Sequence[TaskSpec]:
        return [
            TaskSpec("create", 60, once=Once("listing", probe="probe", settle_seconds=10)),
            TaskSpec("renamed", 60),
            TaskSpec("named", 60, once=Once("other", "probe", 10, adopt="adopt")),
        ]

    def get_service_method_name(self, task: TaskSpec) -> str:
        return "create"


def context(clock: ManualClock, mode: EffectMode, settle_seconds: float = 0.0) -> TaskContext:
    grant = EffectGrant("key", mode=mode, settle_remaining_seconds=settle_seconds)
    return make_task_context(name="create", effect=grant, clock=clock, lease_seconds=60)


async def test_first_attempt_does_not_probe() -> None:
    """With EXECUTE the method runs at once."""
    service = Service()
    assert await Handler(service).execute(context(ManualClock(), EffectMode.EXECUTE)) is CREATED
    assert service.calls == ["create"]


async def test_method_may_have_another_name_than_the_step() -> None:
    """get_service_method_name decides which method a step calls."""
    service = Service()
    assert await Handler(service).execute(make_task_context(name="renamed")) is CREATED


async def test_effect_that_a_person_settled_is_neither_looked_for_nor_made() -> None:
    """With ADOPT the result is the id that the person named, or what the step makes of it."""
    service = Service()
    grant = EffectGrant("key", mode=EffectMode.ADOPT, remote_id="r-77")
    plain = await Handler(service).execute(make_task_context(name="create", effect=grant))
    assert (plain.remote_id, plain.output, service.calls) == ("r-77", {}, [])
    made = await Handler(service).execute(make_task_context(name="named", effect=grant))
    assert (made.output, service.calls) == ({"id": "r-77"}, ["adopt"])


async def test_found_effect_is_adopted() -> None:
    """A probe that finds the effect ends the attempt with its result; nothing is sent."""
    service = Service(Found(ADOPTED))
    assert await Handler(service).execute(context(ManualClock(), EffectMode.PROBE, 10)) is ADOPTED
    assert service.calls == ["probe"]


async def test_absent_effect_is_made_only_after_settling_and_a_second_probe() -> None:
    """Absence counts only when a probe after the settling time says it again."""
    clock = ManualClock()
    service = Service(Absent(), Absent())
    running = asyncio.create_task(Handler(service).execute(context(clock, EffectMode.PROBE, 10)))
    await clock.advance(9.9)
    assert service.calls == ["probe"]
    await clock.advance(0.2)
    assert await running is CREATED
    assert service.calls == ["probe", "probe", "create"]


async def test_effect_that_appears_while_settling_is_adopted() -> None:
    """An effect that the first probe missed and the second finds is adopted."""
    clock = ManualClock()
    service = Service(Absent(), Found(ADOPTED))
    running = asyncio.create_task(Handler(service).execute(context(clock, EffectMode.PROBE, 10)))
    await clock.advance(10.1)
    assert await running is ADOPTED
    assert service.calls == ["probe", "probe"]


async def test_settled_absence_needs_one_probe() -> None:
    """With no settling time left a single probe proves absence."""
    service = Service(Absent())
    assert await Handler(service).execute(context(ManualClock(), EffectMode.PROBE, 0)) is CREATED
    assert service.calls == ["probe", "create"]


async def test_settling_counts_from_the_grant() -> None:
    """Time that passed between the grant and the first probe's answer is not waited for again."""
    clock = ManualClock()
    task = context(clock, EffectMode.PROBE, 10)
    await clock.advance(9)
    running = asyncio.create_task(Handler(Service(Absent(), Absent())).execute(task))
    await clock.advance(1.1)
    assert await running is CREATED


async def test_unclear_probe_needs_a_person() -> None:
    """When the probe cannot tell, nothing is sent and a person is asked."""
    service = Service(Unclear("two listings carry the reference"))
    with pytest.raises(NeedsHumanError, match="two listings") as caught:
        await Handler(service).execute(context(ManualClock(), EffectMode.PROBE))
    assert caught.value.effect is EffectOutcome.UNKNOWN
    assert service.calls == ["probe"]


@pytest.mark.parametrize("probes", [1, 2])
async def test_probe_that_was_not_sent_leaves_the_effect_unknown(probes: int) -> None:
    """A probe's own NOT_SENT says nothing of what an earlier attempt sent."""
    clock = ManualClock()
    failure = RetryableError("refused", effect=EffectOutcome.NOT_SENT)
    service = Service(*[Absent()] * (probes - 1), failure)
    running = asyncio.create_task(Handler(service).execute(context(clock, EffectMode.PROBE, 1)))
    await clock.advance(2)
    with pytest.raises(RetryableError) as caught:
        await running
    assert caught.value.effect is EffectOutcome.UNKNOWN


async def test_method_after_a_proven_absence_may_say_not_sent() -> None:
    """Once absence is proven, the method's own word on the effect stands."""

    class Refusing(Service):
        async def create(self, task: TaskContext) -> TaskResult:
            raise PermanentError("bad price", effect=EffectOutcome.NOT_SENT)

    with pytest.raises(PermanentError) as caught:
        await Handler(Refusing(Absent())).execute(context(ManualClock(), EffectMode.PROBE))
    assert caught.value.effect is EffectOutcome.NOT_SENT


async def test_cancelled_job_does_not_settle() -> None:
    """A job cancelled while settling ends at once with the effect unknown."""
    task = context(ManualClock(), EffectMode.PROBE, 10)
    service = Service(Absent())
    running = asyncio.create_task(Handler(service).execute(task))
    await settle()
    task.state.request_stop("the job was cancelled")
    with pytest.raises(StopRequestedError) as caught:
        await running
    assert caught.value.effect is EffectOutcome.UNKNOWN
    assert service.calls == ["probe"]


class Wrong:
    def plain(self, task: TaskContext) -> TaskResult:
        return CREATED

    async def no_parameter(self) -> TaskResult:
        return CREATED

    async def two(self, task: TaskContext, more: int) -> TaskResult:
        return CREATED

    async def unannotated(self, task):  # type: ignore[no-untyped-def]
        return CREATED

    async def wrong_result(self, task: TaskContext) -> str:
        return ""

    async def keyword(self, *, task: TaskContext) -> TaskResult:
        return CREATED

    async def good(self, task: TaskContext) -> TaskResult:
        return CREATED

    async def wrong_probe(self, task: TaskContext) -> Found | None:
        return None

    async def unreadable(self, task: "Missing") -> TaskResult:  # type: ignore[name-defined]  # noqa: F821
        return CREATED

    attribute = 3


class WrongHandler(DirectAPIJobHandler):
    action = "wrong"
    names = (
        "plain",
        "no_parameter",
        "two",
        "unannotated",
        "wrong_result",
        "keyword",
        "misspelt",
        "attribute",
    )

    def get_service(self) -> Wrong:
        return Wrong()

    def create_tasks(self) -> Sequence[TaskSpec]:
        return [
            *(TaskSpec(name, 60) for name in self.names),
            TaskSpec("good", 60, once=Once("listing", probe="wrong_probe", settle_seconds=1)),
            TaskSpec("good", 60, once=Once("listing", probe="misspelt_probe", settle_seconds=1)),
            TaskSpec("unreadable", 60),
        ]


def test_every_wrong_method_is_named_at_once() -> None:
    """One message lists each method that is missing or has another signature, and nothing that is right."""
    with pytest.raises(DefinitionError) as caught:
        _ = WrongHandler().resolved_tasks
    message = str(caught.value)
    for name in WrongHandler.names:
        assert f"step '{name}': Wrong.{name}" in message
    assert (
        "probe of step 'good': Wrong.wrong_probe must be annotated to return Absent | Found | Unclear"
        in message
    )
    assert "Wrong.misspelt_probe does not exist" in message
    assert "Wrong.unreadable has annotations that cannot be read: name 'Missing' is not defined" in message
    assert "step 'good' is declared twice" in message
    assert "step 'good': Wrong.good" not in message
