"""Every state that a job may be in, however it came there, and everything that may happen then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from tests.model.engine.history import SUCCESS, History
from tests.model.engine.rows import MINUTE, Outcome

Part = Callable[[History], None]


def pending(h: History) -> None:
    h.create("publish")


def held(h: History) -> None:
    h.create("publish", wait=MINUTE)


def waiting_after_a_failure(h: History) -> None:
    h.create("publish", max_retries=1)
    h.begin()
    h.fail("RETRYABLE")


def waiting_after_a_lost_lease(h: History) -> None:
    h.create("relist", max_retries=1)
    h.begin()
    h.tick_after(1)


def waiting_for_a_connector(h: History) -> None:
    h.create("publish")
    h.admit()
    h.tick_after(1, with_connectors=True)
    h.then(h.driver.register)


def waiting_for_the_account(h: History) -> None:
    h.create("relist")
    h.begin()
    h.fail("AUTH_REQUIRED")
    h.then(h.driver.reconnect)


def waiting_for_a_person(h: History) -> None:
    h.create("relist")
    h.begin()
    h.fail("NEEDS_HUMAN", "DONE")


def dispatched(h: History) -> None:
    h.create("update", max_retries=1)
    h.admit()


def dispatched_again(h: History) -> None:
    h.create("publish")
    h.admit()
    h.tick_after(1)


def running(h: History) -> None:
    h.create("publish")
    h.begin()


def running_with_retries(h: History) -> None:
    h.create("relist", max_retries=2)
    h.begin()


def between_tasks(h: History) -> None:
    running(h)
    h.succeed()


def running_the_last_task(h: History) -> None:
    running(h)
    h.succeed_and_go_on()


def paused(h: History) -> None:
    waiting_after_a_failure(h)
    h.control("pause")


def paused_when_dispatched(h: History) -> None:
    dispatched(h)
    h.control("pause")


def paused_when_running(h: History) -> None:
    running_with_retries(h)
    h.control("pause")


def completed(h: History) -> None:
    h.create("relist")
    h.begin()
    h.succeed()


def failed(h: History) -> None:
    running_the_last_task(h)
    h.fail("PERMANENT")


def cancelled(h: History) -> None:
    waiting_after_a_lost_lease(h)
    h.control("cancel")


def cancelled_when_running(h: History) -> None:
    running(h)
    h.control("cancel")


def expired(h: History) -> None:
    waiting_after_a_lost_lease(h)
    h.control("pause")
    h.tick_after(15)


def expired_when_running(h: History) -> None:
    h.create("relist")
    h.then(h.driver.let_time_pass, 14)
    h.begin()
    h.then(h.driver.let_time_pass, 1)
    h.then(h.driver.heartbeat, h.leases[-1])
    h.then(h.driver.tick)


def retried(h: History) -> None:
    failed(h)
    h.control("retry")


def archived(reach: Part) -> Part:
    def reach_and_archive(h: History) -> None:
        reach(h)
        h.then(h.driver.archive)

    reach_and_archive.__name__ = f"{reach.__name__}_and_archived"
    return reach_and_archive


SITUATIONS: tuple[Part, ...] = (
    running,
    completed,
    dispatched,
    pending,
    paused_when_running,
    failed,
    cancelled_when_running,
    between_tasks,
    held,
    waiting_after_a_failure,
    waiting_after_a_lost_lease,
    waiting_for_a_connector,
    waiting_for_the_account,
    waiting_for_a_person,
    dispatched_again,
    running_with_retries,
    running_the_last_task,
    paused,
    paused_when_dispatched,
    cancelled,
    expired,
    expired_when_running,
    retried,
    *map(archived, (completed, failed, cancelled, expired)),
)


def admission_passes(h: History) -> None:
    h.admit()


def reaper_looks(h: History) -> None:
    h.then(h.driver.tick)


def minutes_pass(h: History) -> None:
    for _ in range(3):
        h.tick_after(1)


def connectors_go(h: History) -> None:
    h.tick_after(2, with_connectors=True)


def its_time_is_over(h: History) -> None:
    h.tick_after(15)


def old_findings_are_heard(h: History) -> None:
    for bell in {bell.task: bell for bell in h.bells}.values():
        h.then(h.driver.act_on_old_findings, bell)


def old_findings_are_heard_late(h: History) -> None:
    h.then(h.driver.let_time_pass, 15)
    old_findings_are_heard(h)


def archiver_moves(h: History) -> None:
    h.then(h.driver.archive)


def orchestrator_dies(h: History) -> None:
    h.then(h.driver.crash)


def orchestrator_dies_within_a_tick(h: History) -> None:
    h.then(h.driver.let_time_pass, 1)
    h.then(h.driver.crash_after_next_commit)
    h.then(h.driver.tick)


def is_created_again(h: History) -> None:
    h.then(h.driver.create_again, *h.driver.submissions[-1])


def another_is_created(h: History) -> None:
    h.create(h.jobs[-1].action)
    h.create(h.jobs[-1].action, is_duplicate=True)
    h.admit()


def called(call: str) -> Part:
    def event(h: History) -> None:
        h.then(h.driver.control_as_another_tenant, call, h.jobs[-1])
        before = len(h.driver.calls)
        h.control(call)
        if len(h.driver.calls) > before:
            h.then(h.driver.control_again, *h.driver.calls[-1])

    event.__name__ = call
    return event


def every_command_arrives(h: History) -> None:
    for bell in list(h.bells):
        h.then(h.driver.start, bell, h.driver.instances[2])
        h.then(h.driver.start, bell, h.instance, tenant=h.driver.place.other_tenant_id)
        h.start(bell)


def every_start_is_repeated(h: History) -> None:
    for lease in list(h.leases):
        h.then(h.driver.start, lease.bell, lease.instance, lease.token)


def every_lease_sends_heartbeats(h: History) -> None:
    for lease in h.leases:
        h.then(h.driver.heartbeat, lease)


def heartbeats_come_late(h: History) -> None:
    h.then(h.driver.let_time_pass, 1)
    every_lease_sends_heartbeats(h)
    h.then(h.driver.tick)


def somebody_else_reports(h: History) -> None:
    for lease in list(h.leases):
        h.then(h.driver.report_as_another, lease)


def every_lease_is_released(h: History) -> None:
    for lease in h.leases:
        h.then(h.driver.release, lease)


def every_lease_succeeds(h: History) -> None:
    for lease in list(h.leases):
        h.then(h.driver.report, lease, Outcome())
        h.succeed(lease)
        h.succeed(lease)


def every_lease_goes_on(h: History) -> None:
    for lease in list(h.leases):
        h.succeed_and_go_on(lease)
        h.succeed_and_go_on(lease)


def fails(kind: str, effect: str) -> Part:
    def event(h: History) -> None:
        for lease in list(h.leases):
            h.then(h.driver.report, lease, Outcome(kind, effect, retry_after=2 * MINUTE))

    event.__name__ = f"every_lease_reports_{kind}_{effect}"
    return event


def effect_is_told_late(h: History) -> None:
    h.then(h.driver.let_time_pass, 1)
    h.then(h.driver.tick)
    for lease in list(h.leases):
        h.then(h.driver.report, lease, SUCCESS)


EVENTS: tuple[Part, ...] = (
    admission_passes,
    reaper_looks,
    minutes_pass,
    connectors_go,
    its_time_is_over,
    old_findings_are_heard,
    old_findings_are_heard_late,
    archiver_moves,
    orchestrator_dies,
    orchestrator_dies_within_a_tick,
    is_created_again,
    another_is_created,
    *map(called, ("cancel", "pause", "resume", "retry")),
    every_command_arrives,
    every_start_is_repeated,
    every_lease_sends_heartbeats,
    heartbeats_come_late,
    somebody_else_reports,
    every_lease_is_released,
    every_lease_succeeds,
    every_lease_goes_on,
    fails("RETRYABLE", "UNKNOWN"),
    fails("RATE_LIMITED", "NOT_SENT"),
    fails("AUTH_REQUIRED", "NOT_SENT"),
    fails("NEEDS_HUMAN", "DONE"),
    fails("PERMANENT", "NOT_SENT"),
    effect_is_told_late,
)


def what_follows(h: History) -> None:
    """The job goes on as far as it may."""
    h.tick_after(1)
    if h.bells and h.reference.is_awaited(h.bells[-1]):
        h.start()
        h.succeed()


def matrix() -> Iterator[tuple[str, Part]]:
    """Lists each event in each situation, by its name."""
    for reach, event in product(SITUATIONS, EVENTS):

        def play(h: History, reach: Part = reach, event: Part = event) -> None:
            h.reach(reach)
            event(h)
            what_follows(h)

        yield f"{reach.__name__}, {event.__name__}", play
