"""Random histories: hypothesis chooses among the steps that make sense, and the driver takes them."""

from __future__ import annotations

import os
import random
from typing import Any, ClassVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stoflow_orchestrator.lifecycle import JobState
from tests.model.engine.actions import action, actions_of
from tests.model.engine.driver import REQUESTS, Driver
from tests.model.engine.engine import Place
from tests.model.engine.messages import Lease
from tests.model.engine.reference import Pair
from tests.model.engine.rows import MINUTE, Bell, JobRow, Outcome

MAX_JOBS = 7
# Where a call changes something, but for cancel and pause.
EFFECTIVE = {
    "cancel": (JobState.RUNNING, JobState.PAUSED),
    "pause": (JobState.RUNNING,),
    "resume": (JobState.PAUSED,),
    "retry": (JobState.FAILED, JobState.EXPIRED),
}
PICK = range(30)
# Counted from the newest.
NEWEST = [0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 5, 8]
FAILURES = [
    "RETRYABLE",
    "RETRYABLE",
    "RATE_LIMITED",
    "AUTH_REQUIRED",
    "PERMANENT",
    "PERMANENT",
    "NEEDS_HUMAN",
]


class EngineMachine(RuleBasedStateMachine):
    """Takes random steps; `place` is set by who runs it."""

    place: ClassVar[Place]
    # Another one makes other histories.
    seed: ClassVar[str] = os.environ.get("MODEL_SEED", "")
    # Over all examples that agreed.
    asked: ClassVar[set[Pair]] = set()
    taken: ClassVar[set[Pair]] = set()

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        # Hypothesis tears down histories that failed as well.
        self.agreed = True
        self.driver = Driver(self.place)
        self.engine, self.reference = self.driver.engine, self.driver.reference

    @initialize()
    def open(self) -> None:
        self.driver.open()

    # -- callers --

    @action(
        6,
        lambda self: len(self.reference.jobs) < MAX_JOBS,
        action=["publish", "publish", "relist", "update", "sync"],
        account=[0, 0, 1],
        product=[0, 0, 1],
        priority=[4, 3, 2, 1],
        max_retries=[0, 1, 2],
        is_duplicate=[False, False, True],
        wait=[None, None, None, None, MINUTE],
    )
    def create(self, action: str, **arguments: Any) -> None:
        self.driver.create(action, **arguments)

    @action(2, lambda self: self.driver.submissions, pick=PICK)
    def create_again(self, pick: int) -> None:
        submissions = self.driver.submissions
        self.driver.create_again(*submissions[-1 - pick % len(submissions)])

    @action(
        14,
        lambda self: self.reference.jobs,
        call=["cancel", "pause", "pause", "resume", "resume", "retry", "retry", "retry"],
        pick=NEWEST,
    )
    def control(self, call: str, pick: int) -> None:
        self.driver.control(call, self._job(pick, call))

    @action(2, lambda self: self.driver.calls, pick=NEWEST)
    def control_again(self, pick: int) -> None:
        calls = self.driver.calls
        self.driver.control_again(*calls[-1 - pick % len(calls)])

    @action(1, lambda self: self.reference.jobs, call=sorted(REQUESTS), pick=NEWEST)
    def control_as_another_tenant(self, call: str, pick: int) -> None:
        self.driver.control_as_another_tenant(call, self._job(pick))

    def _job(self, pick: int, call: str = "") -> JobRow:
        states = EFFECTIVE.get(call, ())
        jobs = sorted(self.reference.jobs.values(), key=lambda job: (job.state in states, job.has_slot))
        return jobs[-1 - pick % len(jobs)]

    # -- connectors --

    @action(14, lambda self: self._has_awaited, instance=[0, 0, 1])
    def start_next(self, instance: int) -> None:
        """The newest command arrives."""
        self.start(0, instance)

    @action(3, lambda self: self.engine.received, pick=NEWEST, instance=[0, 0, 0, 0, 1, 1, 2])
    def start(self, pick: int, instance: int) -> None:
        """A command arrives, perhaps not for the first time."""
        self.driver.start(self._bell(pick), self.driver.instances[instance])

    @action(3, lambda self: self.driver.leases, pick=NEWEST)
    def start_again(self, pick: int) -> None:
        """The answer to a start was lost; the connector repeats it with its token."""
        lease = self._lease(pick)
        self.driver.start(lease.bell, lease.instance, lease.token)

    @action(3, lambda self: self.engine.received, pick=NEWEST)
    def start_as_another_tenant(self, pick: int) -> None:
        instance_id, tenant = self.driver.instances[0], self.driver.place.other_tenant_id
        self.driver.start(self._bell(pick), instance_id, tenant=tenant)

    @action(3, lambda self: self._overtaken(), pick=NEWEST, instance=[0, 1])
    def start_late(self, pick: int, instance: int) -> None:
        """A command arrives after a newer one for its task has been published."""
        bells = self._overtaken()
        self.driver.start(bells[-1 - pick % len(bells)], self.driver.instances[instance])

    @action(4, lambda self: self.driver.leases, pick=NEWEST)
    def heartbeat(self, pick: int) -> None:
        self.driver.heartbeat(self._lease(pick))

    @action(
        5,
        lambda self: self.driver.leases,
        pick=NEWEST,
        remote_id=["r1", "r1", "r2", ""],
        output=[None, "a", "b"],
    )
    def succeed(self, pick: int, remote_id: str, output: str | None) -> None:
        self.driver.report(self._lease(pick), Outcome(remote_id=remote_id, output=output))

    @action(10, lambda self: self._has_running, pick=NEWEST, remote_id=["r1", "r2"])
    def succeed_well(self, pick: int, remote_id: str) -> None:
        self.driver.report(self._lease(pick), Outcome(remote_id=remote_id, output="a"))

    @action(8, lambda self: self.driver.leases, pick=NEWEST)
    def succeed_and_go_on(self, pick: int) -> None:
        """The connector has room for the job's next task; asked once more, it names the same token."""
        lease = self._lease(pick)
        outcome = Outcome(remote_id="r1", output="a")
        self.driver.report(lease, outcome, next_token=self.driver.token_after(lease))

    @action(
        8,
        lambda self: self._has_running,
        pick=NEWEST,
        kind=FAILURES,
        effect=["UNKNOWN", "NOT_SENT", "DONE"],
        retry_after=[None, None, 2 * MINUTE],
    )
    def fail(self, pick: int, kind: str, effect: str, retry_after: int | None) -> None:
        self.driver.report(self._lease(pick), Outcome(kind, effect, retry_after=retry_after))

    @action(4, lambda self: self._over(), pick=PICK, kind=[None, *FAILURES])
    def report_late(self, pick: int, kind: str | None) -> None:
        """An attempt whose lease is over hands in its result all the same."""
        leases = self._over()
        self.driver.report(leases[-1 - pick % len(leases)], Outcome(kind, remote_id="r3"))

    def _over(self) -> list[Lease]:
        tokens = {task.token for job in self.reference.jobs.values() for task in job.tasks}
        return [lease for lease in self.driver.leases if lease.token not in tokens]

    @action(4, lambda self: self.driver.leases, pick=NEWEST)
    def report_as_another(self, pick: int) -> None:
        self.driver.report_as_another(self._lease(pick))

    @action(3, lambda self: self.driver.leases, pick=NEWEST)
    def release(self, pick: int) -> None:
        self.driver.release(self._lease(pick))

    @action(8, lambda self: not self.reference.has_connector)
    def register(self) -> None:
        self.driver.register()

    @action(6, lambda self: not all(self.reference.accounts.values()))
    def reconnect(self) -> None:
        self.driver.reconnect()

    @property
    def _has_running(self) -> bool:
        return any(task.token is not None for job in self.reference.jobs.values() for task in job.tasks)

    def _lease(self, pick: int) -> Lease:
        """Counted from the newest that is held."""
        tokens = {task.token for job in self.reference.jobs.values() for task in job.tasks}
        leases = sorted(self.driver.leases, key=lambda lease: lease.token in tokens)
        return leases[-1 - pick % len(leases)]

    @property
    def _has_awaited(self) -> bool:
        return any(map(self.reference.is_awaited, self.engine.received))

    def _bell(self, pick: int) -> Bell:
        """Counted from the newest that is awaited."""
        bells = sorted(self.engine.received, key=self.reference.is_awaited)
        return bells[-1 - pick % len(bells)]

    def _overtaken(self) -> list[Bell]:
        waiting = {bell.task for bell in self.engine.bells if self.reference.is_awaited(bell)}
        return [b for b in self.engine.received if b.task in waiting and not self.reference.is_awaited(b)]

    # -- the engine's own work --

    def _has_work(self) -> bool:
        waiting = any(
            j.state is JobState.PENDING and j.held_until is None for j in self.reference.jobs.values()
        )
        return waiting or self._has_awaited

    @action(2, lambda self: self.reference.jobs)
    def admit(self) -> None:
        self.driver.admit()

    @action(16, lambda self: self._has_work())
    def admit_and_start(self) -> None:
        """The usual way of a job."""
        self.driver.admit()
        if self._has_awaited:
            self.start(0, 0)

    @action(8, lambda self: self.reference.jobs)
    def tick(self) -> None:
        self.driver.tick()

    @action(4, lambda self: self.engine.received, pick=NEWEST)
    def act_on_old_findings(self, pick: int) -> None:
        self.driver.act_on_old_findings(self._bell(pick))

    @action(3, lambda self: self.reference.jobs)
    def archive(self) -> None:
        self.driver.archive()

    @action(2, lambda self: self.reference.jobs)
    def publish(self) -> None:
        self.driver.publish()

    @action(1, lambda self: self.reference.jobs)
    def crash(self) -> None:
        self.driver.crash()

    @action(2, lambda self: self.reference.jobs)
    def crash_after_next_commit(self) -> None:
        self.driver.crash_after_next_commit()

    @action(
        7,
        lambda self: self.reference.jobs,
        minutes=[1, 1, 1, 2, 2, 4, 15],
        with_connectors=[False, False, False, True],
    )
    def let_time_pass(self, minutes: int, with_connectors: bool) -> None:
        self.driver.let_time_pass(minutes, with_connectors=with_connectors)

    # -- all of it --

    @rule(seed=st.integers(0, 2**32 - 1))
    def step(self, seed: int) -> None:
        """Takes one of the steps that make sense now.

        Drawn evenly: hypothesis likes to repeat itself, and a history of five crashes in a row tells little.
        """
        self.steps += 1
        self.agreed = False
        chance = random.Random(f"{self.seed}:{seed}:{self.steps}")
        possible = [a for a in ACTIONS if a.when(self)]
        (chosen,) = chance.choices(possible, [a.weight for a in possible])
        arguments = {name: chance.choice(values) for name, values in chosen.arguments.items()}
        note(f"-> {chosen.name} {arguments}")
        getattr(self, chosen.name)(**arguments)

    @invariant()
    def agrees(self) -> None:
        self.driver.agrees()
        self.agreed = True

    def teardown(self) -> None:
        if self.agreed:
            self.driver.close()
            type(self).asked |= self.reference.asked
            type(self).taken |= self.reference.taken


ACTIONS = actions_of(EngineMachine)
