"""What each kind of fault does to a caught request.

| kind | effect | the client sees |
|---|---|---|
| status | none, or with apply=before first | `status` (429 with Retry-After, 5xx, ...) |
| timeout_before_effect | none | nothing until it gives up |
| timeout_after_effect | at once | nothing until it gives up |
| late_effect | `delay_seconds` after arrival, whatever the client does | nothing, or `status` at once |
| hold | apply=before: at once; after: on release; never | nothing until released, then the answer |
| reset_before_effect, reset_after_effect | none; at once | a reset connection |
| latency | after the delay | the answer, `delay_seconds` later |
| malformed_body | at once, or apply=never | half of the body |

After `limit_seconds` a request that nobody gave up or released is reset, without any further effect. A hit is
announced when the effect that comes before it is done, so a test that kills the client then knows where it
was.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from stoflow_sandbox.marketplaces.exchange import Reply
from stoflow_sandbox.marketplaces.faults import Apply, FaultKind, FaultRule

if TYPE_CHECKING:
    from stoflow_sandbox.marketplaces.gateway import Exchange

Strategy = Callable[["Exchange", FaultRule], Awaitable[None]]


async def _status(exchange: "Exchange", rule: FaultRule) -> None:
    if rule.apply is Apply.BEFORE:
        await exchange.obey()
    await exchange.faults.announce(rule, exchange.entry.seq)
    await exchange.answer(_injected(exchange, rule, default_status=500))


async def _timeout(exchange: "Exchange", rule: FaultRule) -> None:
    if rule.kind is FaultKind.TIMEOUT_AFTER_EFFECT:
        await exchange.obey()
    await exchange.faults.announce(rule, exchange.entry.seq)
    await exchange.break_off(await exchange.client_left(rule.limit_seconds))


async def _late_effect(exchange: "Exchange", rule: FaultRule) -> None:
    exchange.obey_later(rule.delay_seconds)
    await exchange.faults.announce(rule, exchange.entry.seq)
    if rule.status is not None:
        await exchange.answer(_injected(exchange, rule, default_status=rule.status))
        return
    await exchange.break_off(await exchange.client_left(rule.limit_seconds))


async def _hold(exchange: "Exchange", rule: FaultRule) -> None:
    seq = exchange.entry.seq
    release = exchange.faults.hold(rule, seq)
    reply = await exchange.obey() if rule.apply is Apply.BEFORE else None
    await exchange.faults.announce(rule, seq)
    ending = await exchange.client_left(rule.limit_seconds, release)
    if ending == "client_gone" and rule.apply is Apply.AFTER:
        # The marketplace has the request already: that its sender died does not undo it.
        ending = await _released_without_client(release, rule.limit_seconds)
    exchange.faults.forget_hold(rule, seq)
    if ending != "released":
        await exchange.break_off(ending)
        return
    if rule.apply is Apply.AFTER:
        reply = await exchange.obey()
    await exchange.answer(reply or _injected(exchange, rule, default_status=503))


async def _released_without_client(release: asyncio.Event, limit_seconds: float) -> str:
    try:
        await asyncio.wait_for(release.wait(), limit_seconds)
    except TimeoutError:
        return "given_up"
    return "released"


async def _reset(exchange: "Exchange", rule: FaultRule) -> None:
    if rule.kind is FaultKind.RESET_AFTER_EFFECT:
        await exchange.obey()
    await exchange.faults.announce(rule, exchange.entry.seq)
    await exchange.break_off("reset")


async def _latency(exchange: "Exchange", rule: FaultRule) -> None:
    await exchange.faults.announce(rule, exchange.entry.seq)
    await asyncio.sleep(rule.delay_seconds)
    await exchange.answer(await exchange.obey())


async def _malformed_body(exchange: "Exchange", rule: FaultRule) -> None:
    reply = await exchange.obey() if rule.apply is Apply.BEFORE else Reply(rule.status or 200, {})
    await exchange.faults.announce(rule, exchange.entry.seq)
    await exchange.answer(reply, cut_body=True)


def _injected(exchange: "Exchange", rule: FaultRule, default_status: int) -> Reply:
    reply = exchange.fault_reply(rule.status or default_status, rule.content)
    if rule.retry_after_seconds is not None:
        reply.headers["Retry-After"] = str(rule.retry_after_seconds)
    elif reply.status == 429:
        reply.headers["Retry-After"] = "1"
    return reply


STRATEGIES: dict[FaultKind, Strategy] = {
    FaultKind.STATUS: _status,
    FaultKind.TIMEOUT_BEFORE_EFFECT: _timeout,
    FaultKind.TIMEOUT_AFTER_EFFECT: _timeout,
    FaultKind.LATE_EFFECT: _late_effect,
    FaultKind.HOLD: _hold,
    FaultKind.RESET_BEFORE_EFFECT: _reset,
    FaultKind.RESET_AFTER_EFFECT: _reset,
    FaultKind.LATENCY: _latency,
    FaultKind.MALFORMED_BODY: _malformed_body,
}
