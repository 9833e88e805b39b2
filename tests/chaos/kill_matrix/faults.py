"""The columns of the kill matrix: each places one fault, and lets the job go on to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.kill_matrix.cell import CellRun

# Above the connector's request timeout, below that and its settle time together: the first probe finds
# nothing, the one after the wait finds it.
LATE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A column.

    Attributes:
        name: Names it in the report.
        play: Submits the job, places the fault, and returns when the job has ended and nothing more is to
            come.
        is_sent_again: Whether the first request has no effect, so that a second one must follow.
        is_obeyed_last: Whether the first request has its effect all the same, after the job's end.
        spares_connector: Whether the connector lives on, so that cells may share one.
    """

    name: str
    play: Callable[[CellRun], Awaitable[None]]
    is_sent_again: bool = False
    is_obeyed_last: bool = False
    spares_connector: bool = False


async def kill_on_receipt(run: CellRun) -> None:
    """SIGKILL while the marketplace, which has obeyed, holds the answer."""
    rule = await run.add_fault("hold", run.row.request, apply="before")
    await run.submit()
    await run.wait_for_hit(rule)
    run.kill_connector()
    await run.start_successor()
    await run.wait_for_end()


async def kill_before_call(run: CellRun) -> None:
    """SIGKILL after the lease was granted, before the connector learns of it."""
    if run.row.before is None:
        run.relay.freeze_answers()
        await run.submit()
        run.set_fault_time()
    else:
        rule = await run.add_fault("hold", run.row.before, apply="before")
        await run.submit()
        await run.wait_for_hit(rule)
        run.relay.freeze_answers()
        await run.release(rule)
    await run.wait_until_granted()
    run.kill_connector()
    await run.start_successor()
    await run.wait_for_end()


async def kill_before_report(run: CellRun) -> None:
    """SIGKILL after the marketplace's answer was read, before the report leaves."""
    rule = await run.add_fault("hold", run.row.request, apply="before")
    await run.submit()
    await run.wait_for_hit(rule)
    run.relay.freeze_requests()
    await run.release(rule)
    await run.wait_until_answer_was_read()
    run.kill_connector()
    await run.start_successor()
    await run.wait_for_end()


async def stop_past_lease(run: CellRun) -> None:
    """SIGSTOP past the lease with the effect applied; the successor ends the job; SIGCONT."""
    await _stop(run, "before")


async def stop_past_lease_effect_last(run: CellRun) -> None:
    """The same, but the marketplace obeys the sleeper's request only after the successor has ended the
    job.
    """
    await _stop(run, "after")


async def _stop(run: CellRun, apply: str) -> None:
    rule = await run.add_fault("hold", run.row.request, apply=apply)
    await run.submit()
    await run.wait_for_hit(rule)
    run.suspend_connector()
    await run.start_successor()
    await run.wait_for_end()
    await run.release(rule)
    await run.awaken_connector()


async def late_effect(run: CellRun) -> None:
    """The request times out at the connector, and some seconds later its effect appears."""
    rule = await run.add_fault("late_effect", run.row.request, delay_seconds=LATE_SECONDS)
    await run.submit()
    await run.wait_for_hit(rule)
    await run.wait_for_end()
    await run.wait_for_late_effect()


async def timeout_before_effect(run: CellRun) -> None:
    """The request times out and never has an effect."""
    await _answer_badly(run, "timeout_before_effect")


async def error_after_effect(run: CellRun) -> None:
    """The marketplace obeys and answers 503."""
    await _answer_badly(run, "status", status=503, apply="before")


async def reset_after_effect(run: CellRun) -> None:
    """The marketplace obeys and the connection breaks."""
    await _answer_badly(run, "reset_after_effect")


async def _answer_badly(run: CellRun, kind: str, **rule: object) -> None:
    added = await run.add_fault(kind, run.row.request, **rule)
    await run.submit()
    await run.wait_for_hit(added)
    await run.wait_for_end()
