"""Histories that show one guard or one rule each, and those of several jobs, which no single situation shows."""

from __future__ import annotations

from collections.abc import Callable

from tests.model.engine.history import History
from tests.model.engine.rows import Outcome


def gives_way(h: History) -> None:
    """Between two tasks a job gives its slot to one of higher priority that found none."""
    h.create("publish", priority=4)
    h.begin()
    h.create("publish", account=1, priority=3)
    h.create("publish", product=1, priority=2)
    h.admit()
    h.succeed(h.leases[0])
    lower, _, higher = h.jobs
    assert [lower.history[-1].type, lower.state] == ["YIELDED", "PENDING"]
    h.admit()
    assert higher.state == "RUNNING"


def gives_way_when_asked_to_go_on(h: History) -> None:
    """A report that asks for the next task gets none while a job of higher priority waits for the slot."""
    h.create("publish", priority=4)
    h.begin()
    h.create("publish", account=1, priority=3)
    h.create("publish", product=1, priority=2)
    h.admit()
    h.succeed_and_go_on(h.leases[0])
    assert h.jobs[0].history[-1].type == "YIELDED"
    h.succeed_and_go_on(h.leases[0])


def same_product_in_order(h: History) -> None:
    """The jobs of a product run one after the other, as they were created."""
    h.create("publish", priority=4)
    h.create("update", priority=2)
    h.create("relist", priority=3, is_duplicate=True)
    h.begin()
    first, second, third = h.jobs
    assert [first.has_slot, second.has_slot, third.has_slot] == [True, False, False]
    h.control("cancel", first)
    h.admit()
    assert not second.has_slot, "the cancelled job's attempt still runs"
    h.fail("PERMANENT")
    h.admit()
    assert [second.has_slot, third.has_slot] == [True, False]


def slot_kept_for_critical(h: History) -> None:
    """Ordinary jobs leave a slot for one that is critical; an account's limit holds for all."""
    h.create("relist", account=0)
    h.create("relist", account=1, priority=1)
    h.create("relist", account=1, product=1, priority=1)
    h.create("update", product=1)
    h.create("sync", priority=3)
    h.begin()
    assert [job.has_slot for job in h.jobs] == [True, True, False, True, False]
    h.succeed()
    h.admit()


def account_refused(h: History) -> None:
    """A refused account holds all its jobs back, until it is connected again."""
    h.create("relist")
    h.create("relist", product=1)
    h.begin()
    h.fail("AUTH_REQUIRED", "NOT_SENT")
    h.admit()
    h.tick_after(1)
    h.then(h.driver.reconnect)
    h.tick_after(1)


def effect_probed(h: History) -> None:
    """After an attempt that may have sent, the next one probes; its own failure to send proves nothing."""
    h.create("relist", max_retries=2)
    h.begin()
    h.tick_after(1)
    h.tick_after(1)
    h.start()
    h.fail("RETRYABLE", "NOT_SENT")
    h.tick_after(2)
    h.start()
    h.succeed()
    h.create("relist")
    h.begin()
    h.succeed()


def effect_told_by_another(h: History) -> None:
    """What a lost attempt made is remembered for the next, and overwritten by nobody once it is done."""
    h.create("relist", max_retries=2)
    h.begin()
    h.tick_after(1)
    late = h.leases[-1]
    h.then(h.driver.report, late, Outcome(remote_id="r2"))
    h.tick_after(1)
    h.start()
    h.succeed()
    h.then(h.driver.report, late, Outcome(remote_id="r3"))


def commands_overtake(h: History) -> None:
    """Only the newest command of a task counts, however often it was dispatched, in this run or the one before."""
    h.create("publish", max_retries=1)
    h.admit()
    h.tick_after(1)
    h.tick_after(1)
    for bell in list(h.bells):
        h.start(bell)
    h.fail("PERMANENT", "NOT_SENT")
    h.control("retry")
    h.admit()
    for bell in list(h.bells):
        h.start(bell)


def twins_are_refused(h: History) -> None:
    """One live job has a subject, and a failed one comes back only when no other has taken its place."""
    h.create("relist")
    h.begin()
    h.fail("PERMANENT", "NOT_SENT")
    h.create("relist")
    h.create("relist")
    h.control("retry", h.jobs[0])
    h.control("cancel")
    h.control("retry", h.jobs[0])
    h.then(h.driver.archive)


def next_task_is_for_the_able(h: History) -> None:
    """Only a connector that is registered goes on with the job's next task."""
    h.create("publish")
    h.begin()
    h.then(h.driver.let_time_pass, 1, with_connectors=True)
    h.succeed_and_go_on()
    assert [task.state for task in h.jobs[0].tasks] == ["COMPLETED", "PENDING"]


def next_task_is_granted_once(h: History) -> None:
    """A report that is repeated gets the next task again only while it holds it."""
    h.create("publish", max_retries=1)
    h.begin()
    first = h.leases[0]
    h.succeed_and_go_on(first)
    h.then(h.driver.start, h.leases[-1].bell, h.instance, h.leases[-1].token)
    h.tick_after(1)
    h.succeed_and_go_on(first)
    h.tick_after(1)
    h.start()
    h.succeed_and_go_on(first)
    h.succeed_and_go_on()


def strangers_are_refused(h: History) -> None:
    """Neither another tenant nor a token that was never granted starts, reports or releases anything."""
    h.create("publish")
    h.admit()
    h.then(h.driver.start, h.bells[0], h.instance, tenant=h.driver.place.other_tenant_id)
    h.start()
    h.then(h.driver.report_as_another, h.leases[0])
    h.then(h.driver.control_as_another_tenant, "cancel", h.jobs[0])
    h.succeed()
    h.then(h.driver.report_as_another, h.leases[0])


def only_a_running_job_starts_tasks(h: History) -> None:
    """A command is worth nothing while its job is paused or waits, and when its task runs or is done."""
    h.create("relist")
    h.admit()
    bell = h.bells[0]
    h.control("pause")
    h.start(bell)
    h.control("resume")
    h.start(bell)
    h.begin()
    h.start()
    h.succeed()
    h.start()


def old_findings_are_decided_again(h: History) -> None:
    """The reaper does what is due now, not what was due when it looked, in this run or the one before."""
    h.create("relist")
    h.admit()
    h.then(h.driver.act_on_old_findings, h.bells[0])
    h.tick_after(15)
    h.control("retry")
    h.then(h.driver.act_on_old_findings, h.bells[0])
    assert h.jobs[0].state == "PENDING"


def stopped_attempts_end(h: History) -> None:
    """A heartbeat keeps the lease of a running job alive, and of no other; its slot is kept as long."""
    h.create("relist", max_retries=1)
    h.begin()
    h.then(h.driver.let_time_pass, 1)
    h.then(h.driver.heartbeat, h.leases[0])
    h.control("pause")
    h.control("resume")
    h.then(h.driver.let_time_pass, 1)
    h.then(h.driver.heartbeat, h.leases[0])
    h.then(h.driver.tick)
    assert [h.jobs[0].state, h.jobs[0].has_slot] == ["PAUSED", False]


def what_has_ended_stays(h: History) -> None:
    """A completed job is neither cancelled nor retried, a cancelled one not retried."""
    for is_cancelled in (False, True):
        h.create("relist")
        h.begin()
        if is_cancelled:
            h.control("cancel")
        else:
            h.succeed()
        for call in ("cancel", "retry", "pause", "resume"):
            h.control(call)


def requests_are_carried_out_once(h: History) -> None:
    """A request that is repeated is answered alike and does nothing, whatever became of its job."""
    h.create("relist", is_duplicate=True)
    h.then(h.driver.create_again, *h.driver.submissions[0])
    h.control("pause")
    h.control("resume")
    h.then(h.driver.control_again, *h.driver.calls[0])
    h.begin()
    h.succeed()
    h.succeed()
    h.then(h.driver.archive)
    h.then(h.driver.create_again, *h.driver.submissions[0])
    h.then(h.driver.control_again, *h.driver.calls[0])
    h.succeed()


HISTORIES: tuple[Callable[[History], None], ...] = (
    strangers_are_refused,
    only_a_running_job_starts_tasks,
    old_findings_are_decided_again,
    stopped_attempts_end,
    what_has_ended_stays,
    requests_are_carried_out_once,
    gives_way,
    gives_way_when_asked_to_go_on,
    same_product_in_order,
    slot_kept_for_critical,
    account_refused,
    effect_probed,
    effect_told_by_another,
    commands_overtake,
    twins_are_refused,
    next_task_is_for_the_able,
    next_task_is_granted_once,
)
