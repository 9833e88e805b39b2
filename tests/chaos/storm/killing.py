"""Who is killed, and when: as jobs end, so that a fast machine and a slow one see the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from stoflow_sandbox.processes import ServiceProcess
from tests.chaos.storm.stage import Stage, wait_ready

_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Strike:
    """One SIGKILL, or several at the same moment.

    Attributes:
        at: Share of the jobs that has ended.
        orchestrators: Who is killed, by number.
        connectors: Who is killed, by number.
        absence_seconds: How long each stays away, in the same order.
    """

    at: float
    orchestrators: tuple[int, ...] = ()
    connectors: tuple[int, ...] = ()
    absence_seconds: tuple[float, ...] = (1.5,)


STRIKES = (
    Strike(0.15, orchestrators=(0,)),
    Strike(0.30, connectors=(0,)),
    Strike(0.42, orchestrators=(1,)),
    Strike(0.55, connectors=(1,)),
    Strike(0.65, orchestrators=(0, 1), absence_seconds=(1.0, 2.5)),
)


@dataclass
class Killer:
    """Carries the strikes out one after the other.

    Attributes:
        kills: What was killed, the share of jobs that had ended, and how long each took to start again.
    """

    stage: Stage
    progress: Callable[[], Awaitable[float]]
    kills: list[dict[str, object]] = field(default_factory=list)

    async def play(self) -> None:
        for strike in STRIKES:
            await self._strike(strike, await self._wait_for(strike.at))

    async def _wait_for(self, share: float) -> float:
        while True:
            if (ended := await self.progress()) >= share:
                return ended
            await asyncio.sleep(_LOOK_SECONDS)

    async def _strike(self, strike: Strike, share: float) -> None:
        victims = [
            *(self.stage.orchestrators[number].process for number in strike.orchestrators),
            *(self.stage.connectors[number] for number in strike.connectors),
        ]
        await asyncio.gather(*(asyncio.to_thread(victim.kill) for victim in victims))
        back = await asyncio.gather(*map(_return, victims, strike.absence_seconds))
        self.kills.append(
            {
                "killed": [victim.name for victim in victims],
                "ended_share": round(share, 3),
                "starting_seconds": [round(seconds, 1) for seconds in back],
            }
        )


async def _return(victim: ServiceProcess, absence_seconds: float) -> float:
    await asyncio.sleep(absence_seconds)
    begun = time.monotonic()
    await asyncio.to_thread(victim.start)
    await wait_ready(victim)
    return time.monotonic() - begun
