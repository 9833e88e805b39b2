"""How calls pass the limiter."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoflow_connector_sdk import EffectOutcome, Rate, RateLimitedError, RateLimiter, RateLimitScope
from stoflow_connector_sdk.task import set_current_task
from stoflow_connector_sdk.testing import make_task_context
from stoflow_service_kit.clock import ManualClock

DAY = 86_400.0


async def test_calls_of_tasks_that_run_at_once_keep_the_rate() -> None:
    """Forty tasks that ask at the same moment pass at the marketplace's pace, none twice, none lost."""
    clock = ManualClock()
    limiter = RateLimiter(app_rates={"": [Rate(10, 1)]}, longest_wait_seconds=60, clock=clock)
    passed: list[float] = []

    async def call() -> None:
        await limiter.acquire("ann")
        passed.append(clock.monotonic())

    calls = [asyncio.ensure_future(call()) for _ in range(40)]
    for _ in range(60):
        await clock.advance(0.1)
    await asyncio.gather(*calls)
    assert len(passed) == 40
    assert all(sum(start <= time < start + 0.999 for time in passed) <= 10 for start in passed)
    assert passed[-1] < 5


async def test_a_day_used_up_refuses_at_once_and_says_until_when() -> None:
    """An exhausted day is no wait but an error with its end, before anything is sent or counted."""
    clock = ManualClock()
    limiter = RateLimiter(account_rates={"": [Rate(5, 1)]}, clock=clock)
    limiter.learn(DAY, 5000, 0, reset_seconds=3600, resource="orders")
    for _ in range(3):
        with pytest.raises(RateLimitedError):
            await limiter.acquire("ann", resource="orders")
    with pytest.raises(RateLimitedError) as caught:
        await limiter.acquire("ann", resource="orders")
    assert caught.value.retry_after_seconds == pytest.approx(3600)
    assert caught.value.effect is EffectOutcome.NOT_SENT
    assert "2030-01-01T01:00:00+00:00" in caught.value.message
    # The refused calls took nothing of the account's own second, and other resources are free.
    await limiter.acquire("ann", resource="items")
    await clock.advance(3600)
    await limiter.acquire("ann", resource="orders")


async def test_a_refusal_after_a_change_leaves_the_effect_unknown() -> None:
    """When the attempt has sent something before, being refused a further call does not undo that."""
    task = make_task_context()
    task.state.possible_effects = 1
    limiter = RateLimiter(clock=ManualClock())
    limiter.pause(60)
    set_current_task(task)
    try:
        with pytest.raises(RateLimitedError) as caught:
            await limiter.acquire()
    finally:
        set_current_task(None)
    assert caught.value.effect is EffectOutcome.UNKNOWN


async def test_ending_calls_pass_when_no_other_does() -> None:
    """What is kept for endings passes after the others are refused."""
    limiter = RateLimiter(app_rates={"": [Rate(100, DAY)]}, ending_share=0.1, clock=ManualClock())
    for _ in range(90):
        await limiter.acquire("ann")
    with pytest.raises(RateLimitedError):
        await limiter.acquire("ann")
    for _ in range(10):
        await limiter.acquire("bob", ending=True)
    with pytest.raises(RateLimitedError):
        await limiter.acquire("bob", ending=True)


async def test_a_pause_holds_for_its_scope_only() -> None:
    """A Retry-After of one account stops that account, endings as well, and nobody else."""
    clock = ManualClock()
    limiter = RateLimiter(clock=clock)
    limiter.pause(600, account="ann")
    limiter.pause(5, account="ann")
    with pytest.raises(RateLimitedError) as caught:
        await limiter.acquire("ann", resource="any", ending=True)
    assert caught.value.retry_after_seconds == pytest.approx(600)
    await limiter.acquire("bob", resource="any")
    limiter.pause(60, resource="orders")
    await limiter.acquire("bob", resource="items")
    with pytest.raises(RateLimitedError):
        await limiter.acquire("bob", resource="orders")


async def test_a_short_pause_is_waited_out() -> None:
    """A pause within the longest wait delays the call instead of failing it."""
    clock = ManualClock()
    limiter = RateLimiter(longest_wait_seconds=5, clock=clock)
    limiter.pause(4)
    call = asyncio.ensure_future(limiter.acquire())
    await clock.advance(3.9)
    assert not call.done()
    await clock.advance(0.2)
    await call


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from(["", "a", "b"])), min_size=1, max_size=300))
def test_memory_is_bounded(calls: list[tuple[int, str]]) -> None:
    """However many accounts call, no more scopes than allowed are remembered."""

    async def run() -> None:
        limiter = RateLimiter(account_rates={"a": [Rate(5, 1)]}, max_accounts=20, longest_wait_seconds=1e9)
        for account, resource in calls:
            limiter.pause(-1, account=f"account{account}", resource=resource)
            assert limiter.scope_count <= 20 + 3

    asyncio.run(run())


def test_the_share_is_a_share() -> None:
    """Nothing but a part can be kept for endings."""
    with pytest.raises(ValueError, match="ending_share"):
        RateLimiter(ending_share=1)


async def test_what_says_nothing_teaches_nothing() -> None:
    """A limit below one, as in a header cut short, leaves calls as they were."""
    limiter = RateLimiter(clock=ManualClock())
    limiter.learn(1, 0, 0)
    limiter.learn(0, 10, 0)
    await limiter.acquire()


@pytest.mark.parametrize(
    ("account", "resource", "seconds", "scope"),
    [
        ("", "", 600, RateLimitScope.MARKETPLACE),
        ("ann", "", 600, RateLimitScope.ACCOUNT),
        ("", "orders", 600, RateLimitScope.JOB),
        ("ann", "orders", 600, RateLimitScope.JOB),
        ("", "", 20, RateLimitScope.JOB),
    ],
)
async def test_refusal_says_whom_a_long_wait_holds_back(
    account: str, resource: str, seconds: float, scope: RateLimitScope
) -> None:
    """The application's own limit holds back the marketplace, an account's the account; a resource's or a short one
    the job alone.
    """
    limiter = RateLimiter(clock=ManualClock())
    limiter.pause(seconds, account=account, resource=resource)
    with pytest.raises(RateLimitedError) as caught:
        await limiter.acquire("ann", resource="orders")
    assert caught.value.scope is scope
