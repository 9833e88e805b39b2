import asyncio
import contextlib
import contextvars
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoflow_service_kit import batching
from stoflow_service_kit.batching import Batcher
from stoflow_service_kit.clock import settle
from stoflow_service_kit.errors import ResourceExhaustedError, UnavailableError


class Store:
    """A flush function that a test holds, fails or lets pass; a bad item makes its whole group fail."""

    def __init__(self, bad: set[int] | None = None) -> None:
        self.bad = bad or set()
        self.groups: list[list[int]] = []
        self.written: list[int] = []
        self.running = 0
        self.most_running = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def flush(self, items: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(items))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.gate.wait()
            if broken := self.bad.intersection(items):
                raise RuntimeError(f"cannot write {sorted(broken)}")
            self.written.extend(items)
            return [item * 10 for item in items]
        finally:
            self.running -= 1


async def test_what_arrives_during_a_flush_is_the_next_group() -> None:
    """While the first item is written nine more arrive; they are written together, without a timer."""
    store = Store()
    store.gate.clear()
    batcher = Batcher("test", store.flush)
    first = asyncio.ensure_future(batcher.submit(0))
    await settle()
    others = [asyncio.ensure_future(batcher.submit(number)) for number in range(1, 10)]
    await settle()
    assert batcher.waiting == 9
    store.gate.set()
    assert await asyncio.gather(first, *others) == [number * 10 for number in range(10)]
    assert store.groups == [[0], list(range(1, 10))]


async def test_one_item_after_the_other_is_handled() -> None:
    """A caller that submits again the moment it was answered is answered again, a hundred times."""
    store = Store()
    batcher = Batcher("test", store.flush)
    for number in range(100):
        assert await batcher.submit(number) == number * 10
    assert len(store.groups) == 100


async def test_groups_are_capped() -> None:
    """Ten items under a cap of four make groups of four, four and two."""
    store = Store()
    sizes: list[int] = []
    batcher = Batcher("test", store.flush, max_group=4, observe_group=sizes.append)
    assert await batcher.submit_all(range(10)) == [number * 10 for number in range(10)]
    assert sizes == [4, 4, 2]


async def test_workers_write_groups_side_by_side_up_to_their_number() -> None:
    """Of three groups two run at once with two workers."""
    store = Store()
    store.gate.clear()
    batcher = Batcher("test", store.flush, max_group=2, workers=2)
    waiting = asyncio.ensure_future(batcher.submit_all(range(6)))
    await settle()
    assert len(store.groups) == 2
    store.gate.set()
    await waiting
    assert store.most_running == 2
    assert len(store.groups) == 3


async def test_few_items_wait_for_the_worker_there_is() -> None:
    """A second worker would only make two small groups out of one."""
    store = Store()
    store.gate.clear()
    batcher = Batcher("test", store.flush, max_group=10, workers=2)
    first = asyncio.ensure_future(batcher.submit(1))
    await settle()
    others = asyncio.ensure_future(batcher.submit_all([2, 3]))
    await settle()
    assert store.groups == [[1]]
    store.gate.set()
    await asyncio.gather(first, others)
    assert store.groups == [[1], [2, 3]]


async def test_a_group_that_is_held_up_does_not_hold_up_those_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever has waited long enough gets a worker of its own."""
    monkeypatch.setattr(batching, "PATIENCE_SECONDS", 0.0)
    store = Store()
    store.gate.clear()
    batcher = Batcher("test", store.flush, max_group=10, workers=2)
    first = asyncio.ensure_future(batcher.submit(1))
    await settle()
    second = asyncio.ensure_future(batcher.submit(2))
    await settle()
    assert store.groups == [[1], [2]]
    store.gate.set()
    await asyncio.gather(first, second)


async def test_each_caller_gets_its_own_result_or_exception() -> None:
    """A flush that returns an exception for one item raises it for that caller alone."""

    async def flush(items: Sequence[int]) -> list[int | Exception]:
        return [ValueError(str(item)) if item == 2 else item for item in items]

    batcher = Batcher("test", flush)
    outcomes = await asyncio.gather(*(batcher.submit(n) for n in range(4)), return_exceptions=True)
    assert [outcomes[0], outcomes[1], outcomes[3]] == [0, 1, 3]
    assert isinstance(outcomes[2], ValueError)


@given(
    items=st.lists(st.integers(0, 30), min_size=1, max_size=60),
    bad=st.sets(st.integers(0, 30), max_size=6),
    max_group=st.integers(1, 20),
    workers=st.integers(1, 3),
)
async def test_bad_items_harm_nobody_else(
    items: list[int], bad: set[int], max_group: int, workers: int
) -> None:
    """Whatever items make groups fail, each good one is written exactly once, each bad one gets the error."""
    store = Store(bad)
    batcher = Batcher("test", store.flush, max_group=max_group, workers=workers)
    outcomes = await batcher.submit_all(items)
    for item, outcome in zip(items, outcomes, strict=True):
        if item in bad:
            assert isinstance(outcome, RuntimeError)
        else:
            assert outcome == item * 10
    assert sorted(store.written) == sorted(item for item in items if item not in bad)
    assert max(len(group) for group in store.groups) <= max_group


async def test_one_bad_item_costs_few_extra_groups() -> None:
    """Finding one bad item among 64 takes a handful of groups, not one for each item."""
    store = Store({17})
    batcher = Batcher("test", store.flush)
    outcomes = await batcher.submit_all(range(64))
    assert sum(isinstance(outcome, Exception) for outcome in outcomes) == 1
    # One whole group, then two halves at each of six levels.
    assert len(store.groups) == 13


async def test_a_service_error_is_the_verdict_on_the_whole_group() -> None:
    """An error meant for callers reaches all of them, and the group is not tried again in halves."""
    calls = 0

    async def flush(_items: Sequence[int]) -> list[int | Exception]:
        nonlocal calls
        calls += 1
        raise UnavailableError("The database is away.")

    outcomes = await Batcher("test", flush).submit_all(range(8))
    assert all(isinstance(outcome, UnavailableError) for outcome in outcomes)
    assert calls == 1


async def test_a_wrong_number_of_results_is_not_tried_again() -> None:
    """A flush that loses a result may have taken effect: everyone gets an error, nothing is repeated."""
    calls = 0

    async def flush(items: Sequence[int]) -> list[int | Exception]:
        nonlocal calls
        calls += 1
        return list(items[1:])

    outcomes = await Batcher("test", flush).submit_all(range(4))
    assert all(isinstance(outcome, RuntimeError) for outcome in outcomes)
    assert calls == 1


async def test_a_cancelled_caller_does_not_cancel_the_flush() -> None:
    """Cancelling one caller, before or during its flush, changes nothing for the flush and its neighbours."""
    store = Store()
    store.gate.clear()
    batcher = Batcher("test", store.flush)
    running = asyncio.ensure_future(batcher.submit(1))
    await settle()
    waiting = asyncio.ensure_future(batcher.submit(2))
    neighbour = asyncio.ensure_future(batcher.submit(3))
    await settle()
    for caller in (running, waiting):
        caller.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await caller
    store.gate.set()
    assert await neighbour == 30
    assert store.written == [1, 2, 3]


async def test_a_flush_cancelled_from_within_answers_its_callers() -> None:
    """A flush that ends in a stray cancellation gives its callers an error, and the next group still runs."""
    calls = 0

    async def flush(items: Sequence[int]) -> list[int | Exception]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise asyncio.CancelledError
        return list(items)

    batcher = Batcher("test", flush)
    with pytest.raises(UnavailableError):
        await batcher.submit(1)
    assert await batcher.submit(2) == 2


async def test_too_many_waiting_items_are_refused_with_a_retry_delay() -> None:
    """At the bound a caller is refused at once, all of its items or none, and told when to come again."""
    store = Store()
    store.gate.clear()
    batcher = Batcher("test", store.flush, max_waiting=3)
    running = asyncio.ensure_future(batcher.submit(0))
    await settle()
    queued = asyncio.ensure_future(batcher.submit_all([1, 2]))
    await settle()
    with pytest.raises(ResourceExhaustedError, match="test has 2 items waiting") as caught:
        await batcher.submit_all([3, 4])
    assert caught.value.reason == "OVERLOADED"
    assert caught.value.retry_after_seconds == 1.0
    last = asyncio.ensure_future(batcher.submit(5))
    await settle()
    store.gate.set()
    assert await running == 0
    assert await queued == [10, 20]
    assert await last == 50
    assert store.written == [0, 1, 2, 5]


async def test_close_flushes_what_waits_and_refuses_what_comes() -> None:
    """Close returns after everything that waited was written; later items are refused."""
    store = Store()
    store.gate.clear()
    batcher = Batcher("test", store.flush, max_group=2)
    waiting = asyncio.ensure_future(batcher.submit_all(range(5)))
    await settle()
    closing = asyncio.ensure_future(batcher.close())
    await settle()
    with pytest.raises(UnavailableError):
        await batcher.submit(9)
    assert not closing.done()
    store.gate.set()
    await closing
    assert await waiting == [0, 10, 20, 30, 40]
    assert store.written == [0, 1, 2, 3, 4]


async def test_an_empty_submission_returns_at_once() -> None:
    """Nothing in, nothing out, and no flush."""
    store = Store()
    assert await Batcher("test", store.flush).submit_all([]) == []
    assert store.groups == []


async def test_a_flush_does_not_run_in_a_callers_context() -> None:
    """Context variables of the caller that happened to come first are not seen by the flush."""
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")
    seen: list[str] = []

    async def flush(items: Sequence[int]) -> list[int | Exception]:
        seen.append(who.get())
        return list(items)

    who.set("first caller")
    await Batcher("test", flush).submit(1)
    assert seen == ["nobody"]
