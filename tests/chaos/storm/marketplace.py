"""A marketplace that creates whatever it is asked to, as often as it is asked.

It knows no request ids and refuses no second thing under the same key, so what it holds at the end is what really
happened. It keeps one promise, on which every settle time rests: nothing appears later than LATE_SECONDS after the
end of the request's timeout. Start it with `python -m tests.chaos.storm.marketplace`.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stoflow_sandbox.marketplaces.gateway import TRANSPORT_KEY
from stoflow_sandbox.marketplaces.server import run
from stoflow_sandbox.marketplaces.settings import SandboxSettings
from tests.chaos.storm.weather import Fault, Weather

SEED_VARIABLE = "STORM_SEED"
LATE_SECONDS = 2.0
_SILENCE_SECONDS = 3.0
# So that attempts take time, and somebody may change his mind meanwhile.
_LEAST_SECONDS, _MOST_SECONDS = 0.01, 0.2
_Draw = Callable[[str, int], Fault]
_STATUS = {Fault.BUSY: 503, Fault.LIMITED: 429, Fault.REFUSED: 422}


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that a seller has at the marketplace."""

    remote_id: str
    key: str


class Marketplace:
    """Things, and the faults that befall requests for them."""

    def __init__(self, weather: Weather) -> None:
        self.things: list[Thing] = []
        self._by_key: dict[str, list[str]] = {}
        self.faults: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self._weather = weather
        self._is_calm = False
        self._numbers: Counter[str] = Counter()
        self._random = random.Random(weather.seed)
        self._late: set[asyncio.Task[None]] = set()

    async def create(self, request: Request) -> Response:
        """Makes a thing; the body names its key, the request and the end of the request's time."""
        body = await request.json()
        self.requests["create"] += 1
        await self._take_time()
        fault = self._draw(self._weather.of_creation, body["name"])
        if fault in _STATUS:
            return _refuse(fault)
        if fault is Fault.SILENT:
            return await _keep_silent()
        if fault is Fault.LATE:
            late = asyncio.create_task(self._make_late(body["key"], body["deadline"]))
            self._late.add(late)
            late.add_done_callback(self._late.discard)
            return _refuse(Fault.BUSY)
        if time.time() > body["deadline"]:
            # The sender has given it up, and counts on that nothing appears much later.
            return Response(status_code=408)
        remote_id = self._make(body["key"])
        if fault is Fault.SILENT_AFTER:
            return await _keep_silent()
        if fault is Fault.RESET_AFTER:
            request.scope[TRANSPORT_KEY].abort()
        return _refuse(Fault.BUSY) if fault is Fault.ERROR_AFTER else JSONResponse({"id": remote_id}, 201)

    async def find(self, request: Request) -> Response:
        """Lists the things under a key."""
        self.requests["find"] += 1
        key = request.query_params["key"]
        fault = self._draw(self._weather.of_read, f"find {request.query_params['name']}")
        return _refuse(fault) if fault in _STATUS else JSONResponse({"ids": self._by_key.get(key, [])})

    async def touch(self, request: Request) -> Response:
        """Does something that may be done again."""
        self.requests["touch"] += 1
        await self._take_time()
        fault = self._draw(self._weather.of_repeatable, (await request.json())["name"])
        if fault is Fault.SILENT:
            return await _keep_silent()
        return _refuse(fault) if fault in _STATUS else Response(status_code=204)

    async def calm(self, _request: Request) -> Response:
        """From now on nothing goes wrong."""
        self._is_calm = True
        return Response(status_code=204)

    async def tell(self, _request: Request) -> Response:
        """Says what really happened."""
        return JSONResponse(
            {
                "things": [asdict(thing) for thing in self.things],
                "faults": dict(self.faults),
                "requests": dict(self.requests),
            }
        )

    async def _take_time(self) -> None:
        await asyncio.sleep(self._random.uniform(_LEAST_SECONDS, _MOST_SECONDS))

    def _draw(self, draw: _Draw, name: str) -> Fault:
        self._numbers[name] += 1
        fault = Fault.NONE if self._is_calm else draw(name, self._numbers[name])
        if fault is not Fault.NONE:
            self.faults[fault] += 1
        return fault

    def _make(self, key: str) -> str:
        thing = Thing(f"R{len(self.things) + 1}", key)
        self.things.append(thing)
        self._by_key.setdefault(key, []).append(thing.remote_id)
        return thing.remote_id

    async def _make_late(self, key: str, deadline: float) -> None:
        await asyncio.sleep(self._random.uniform(LATE_SECONDS / 3, LATE_SECONDS))
        if time.time() <= deadline + LATE_SECONDS:
            self._make(key)


async def _keep_silent() -> Response:
    await asyncio.sleep(_SILENCE_SECONDS)
    return Response(status_code=504)


def _refuse(fault: Fault) -> Response:
    headers = {"retry-after": "1"} if fault is Fault.LIMITED else None
    return Response(status_code=_STATUS[fault], headers=headers)


async def _forget(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)


def make_app(_settings: SandboxSettings) -> Starlette:
    """Returns the application."""
    market = Marketplace(Weather(int(os.environ[SEED_VARIABLE])))
    return Starlette(
        # A connector that was killed has left half a request behind.
        exception_handlers={ClientDisconnect: _forget},
        routes=[
            Route("/things", market.create, methods=["POST"]),
            Route("/things", market.find, methods=["GET"]),
            Route("/touches", market.touch, methods=["POST"]),
            Route("/calm", market.calm, methods=["POST"]),
            Route("/happened", market.tell, methods=["GET"]),
        ],
    )


if __name__ == "__main__":
    run(make_app)
