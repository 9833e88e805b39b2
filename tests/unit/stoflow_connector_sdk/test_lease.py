import pytest

from stoflow_connector_sdk import EffectOutcome, Lease, LeaseTooShortError
from stoflow_service_kit.clock import ManualClock


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
