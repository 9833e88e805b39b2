import asyncio

import pytest

from stoflow_connector_sdk import EffectOutcome, Lease, LeaseTooShortError
from stoflow_service_kit.clock import ManualClock, settle


def make_lease(clock: ManualClock, seconds: float = 10.0) -> Lease:
    return Lease(seconds, sent_at=clock.monotonic(), monotonic=clock.monotonic)


async def test_lease_counts_from_the_moment_it_was_asked_for() -> None:
    """The time between the request and its answer, or with the process stopped, is time of the lease."""
    clock = ManualClock()
    lease = make_lease(clock)
    await clock.advance(4)
    assert lease.remaining_seconds() == 6
    await clock.advance(100)
    assert lease.remaining_seconds() == 0


async def test_request_needs_room_for_its_timeout() -> None:
    """A request whose timeout fits the remaining lease may start, and a longer one may not."""
    clock = ManualClock()
    lease = make_lease(clock)
    await clock.advance(4)
    lease.require(6)
    with pytest.raises(LeaseTooShortError, match=r"6\.1 s does not fit the 6\.0 s") as caught:
        lease.require(6.1)
    assert caught.value.code == "LEASE_TOO_SHORT"
    assert caught.value.effect is EffectOutcome.UNKNOWN


async def test_heartbeat_extends_from_the_moment_it_was_sent() -> None:
    """A heartbeat's answer counts from its request, and an old one that comes late shortens nothing."""
    clock = ManualClock()
    lease = make_lease(clock)
    await clock.advance(4)
    lease.extend(3)
    assert lease.remaining_seconds() == 9
    lease.extend(1)
    assert lease.remaining_seconds() == 9


def test_lost_lease_never_comes_back() -> None:
    """Once the orchestrator took it, nothing may start, whatever a late heartbeat says."""
    clock = ManualClock()
    lease = make_lease(clock)
    lease.lose()
    lease.extend(5)
    assert lease.is_lost
    assert lease.remaining_seconds() == 0
    with pytest.raises(LeaseTooShortError):
        lease.require(0.1)


async def test_request_that_fits_a_fresh_lease_waits_for_the_heartbeat() -> None:
    """A request that does not fit now but would after the next heartbeat starts when that has come."""
    clock = ManualClock()
    lease = make_lease(clock)
    await clock.advance(4)
    waiting = asyncio.create_task(lease.wait_for_room(8))
    await settle()
    assert not waiting.done()
    lease.extend(3)
    await waiting


async def test_request_longer_than_any_lease_does_not_wait() -> None:
    """A timeout above the lease's whole length is refused at once: no heartbeat would help."""
    with pytest.raises(LeaseTooShortError):
        await make_lease(ManualClock()).wait_for_room(10.1)


async def test_wait_for_room_ends_with_the_lease() -> None:
    """A lease that is lost while a request waits for room lets nothing start."""
    clock = ManualClock()
    lease = make_lease(clock)
    await clock.advance(4)
    waiting = asyncio.create_task(lease.wait_for_room(8))
    await settle()
    lease.lose()
    with pytest.raises(LeaseTooShortError):
        await waiting


async def test_lease_that_ran_out_is_not_waited_for() -> None:
    """Once the time is over the orchestrator may have given the task to another."""
    clock = ManualClock()
    lease = make_lease(clock)
    await clock.advance(10)
    with pytest.raises(LeaseTooShortError):
        await lease.wait_for_room(8)
