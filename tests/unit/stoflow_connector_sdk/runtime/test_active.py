import asyncio

from stoflow_connector_sdk.runtime.active import ActiveTask, ActiveTasks, Slots
from stoflow_connector_sdk.testing import make_task_context


def make_active() -> ActiveTask:
    return ActiveTask(make_task_context(), start_to_close_seconds=1, started_at=0)


def test_slots_count_what_is_held() -> None:
    """Commands take slots until they are done with, and never more than none is left."""
    slots = Slots(3)
    slots.take(2)
    assert slots.free() == 1
    slots.take(2)
    assert slots.free() == 0
    slots.give_back(4)
    assert slots.free() == 3


def test_free_slot_wakes_all_who_pull() -> None:
    """Every source hears of a free slot; sources of an older registration do not."""
    heard: list[str] = []
    slots = Slots(2)
    slots.listen([lambda: heard.append("old")])
    slots.listen([lambda: heard.append("a"), lambda: heard.append("b")])
    slots.take(1)
    slots.give_back()
    assert heard == ["a", "b"]


async def test_waiting_ends_with_the_last_attempt() -> None:
    """wait_until_empty returns at once without attempts, and otherwise after the last one."""
    tasks = ActiveTasks()
    await tasks.wait_until_empty()
    first, second = make_active(), make_active()
    tasks.add(first)
    tasks.add(second)
    assert tasks.list() == [first, second]
    waiting = asyncio.create_task(tasks.wait_until_empty())
    tasks.remove(first)
    await asyncio.sleep(0)
    assert not waiting.done()
    tasks.remove(second)
    await waiting
    assert len(tasks) == 0


async def test_only_a_running_method_is_interrupted() -> None:
    """Cancelling reaches an attempt whose method runs, and not one whose report is on its way."""
    active = make_active()
    active.runner = asyncio.create_task(asyncio.sleep(60))
    active.cancel_execution()
    await asyncio.sleep(0)
    assert not active.runner.cancelling()
    active.is_executing = True
    active.cancel_execution()
    assert active.runner.cancelling()
    await asyncio.wait([active.runner])
