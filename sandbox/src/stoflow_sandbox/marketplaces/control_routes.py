"""The control API that every marketplace sandbox has under /_sandbox/: faults, request log, clock.

| call | what it does |
|---|---|
| GET /_sandbox/health | says that the sandbox serves, and for which marketplace |
| POST /_sandbox/faults | adds a rule (fields of `faults.FaultRule`) and answers it with its id |
| GET /_sandbox/faults, GET /_sandbox/faults/{id} | shows rules: hits (request numbers), held, is_spent |
| GET /_sandbox/faults/{id}/wait?hits=1&timeout=10 | answers once the rule has that many hits; else 408 |
| POST /_sandbox/faults/{id}/release | lets the held answers go: {"released": n} |
| DELETE /_sandbox/faults/{id}, DELETE /_sandbox/faults | removes a rule, or all, releasing what they hold |
| GET /_sandbox/requests | log entries, filtered (see below) |
| GET /_sandbox/clock, POST /_sandbox/clock | shows the clock; {"advance_seconds": n} moves it forward |

Filters of the log are seller, sku, operation, method, path, kind, rule_id, effect_applied and after_seq; with
wait_count and timeout the answer comes once that many entries are complete, or with fewer when time is up.

A marketplace adds its own calls beside these. There is no authentication: listen on loopback only.
"""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stoflow_sandbox.marketplaces.clock import Clock
from stoflow_sandbox.marketplaces.fault_book import FaultBook, UnknownFaultError
from stoflow_sandbox.marketplaces.faults import FaultRule, FaultRuleError, parse_rule
from stoflow_sandbox.marketplaces.request_log import LogFilter, RequestLog

LONGEST_WAIT_SECONDS = 300.0


class ControlError(Exception):
    """A control call that cannot be obeyed; `violations` says everything that is wrong."""

    def __init__(self, status: int, violations: list[str]) -> None:
        super().__init__("; ".join(violations))
        self.status = status
        self.violations = violations


async def control_error_response(_: Request, error: Exception) -> Response:
    if isinstance(error, FaultRuleError):
        return JSONResponse({"violations": error.violations}, 400)
    if isinstance(error, UnknownFaultError):
        return JSONResponse({"violations": [f"no fault rule {error}"]}, 404)
    if isinstance(error, ControlError):
        return JSONResponse({"violations": error.violations}, error.status)
    raise error


CONTROL_EXCEPTION_HANDLERS: dict[Any, Any] = {
    FaultRuleError: control_error_response,
    UnknownFaultError: control_error_response,
    ControlError: control_error_response,
}


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body; an empty body is an empty object."""
    raw = await request.body()
    try:
        content = json.loads(raw) if raw else {}
    except ValueError as error:
        raise ControlError(400, [f"body: not JSON ({error})"]) from None
    if not isinstance(content, dict):
        raise ControlError(400, ["body: expected a JSON object"])
    return content


def read_number(request: Request, name: str, default: float, highest: float) -> float:
    """Return a query parameter as a number between zero and `highest`."""
    text = request.query_params.get(name)
    try:
        number = default if text is None else float(text)
    except ValueError:
        raise ControlError(400, [f"{name}: expected a number"]) from None
    if not 0 <= number <= highest:
        raise ControlError(400, [f"{name}: expected 0 to {highest:g}"])
    return number


class FaultRoutes:
    """Control calls about fault rules."""

    def __init__(self, faults: FaultBook) -> None:
        self._faults = faults

    def routes(self) -> list[Route]:
        return [
            Route("/_sandbox/faults", self.add, methods=["POST"]),
            Route("/_sandbox/faults", self.list_all, methods=["GET"]),
            Route("/_sandbox/faults", self.clear, methods=["DELETE"]),
            Route("/_sandbox/faults/{id}", self.get, methods=["GET"]),
            Route("/_sandbox/faults/{id}", self.remove, methods=["DELETE"]),
            Route("/_sandbox/faults/{id}/wait", self.wait, methods=["GET"]),
            Route("/_sandbox/faults/{id}/release", self.release, methods=["POST"]),
        ]

    def _view(self, rule: FaultRule) -> dict[str, Any]:
        return rule.view() | {"held": self._faults.held(rule.id)}

    async def add(self, request: Request) -> Response:
        rule = self._faults.add(parse_rule(await read_object(request)))
        return JSONResponse(self._view(rule), 201)

    async def list_all(self, _: Request) -> Response:
        return JSONResponse({"faults": [self._view(rule) for rule in self._faults.all()]})

    async def get(self, request: Request) -> Response:
        return JSONResponse(self._view(self._faults.get(request.path_params["id"])))

    async def wait(self, request: Request) -> Response:
        hits = int(read_number(request, "hits", 1, 1_000_000))
        timeout = read_number(request, "timeout", 10, LONGEST_WAIT_SECONDS)
        rule_id = request.path_params["id"]
        try:
            return JSONResponse(self._view(await self._faults.wait_for_hits(rule_id, hits, timeout)))
        except TimeoutError:
            had = len(self._faults.get(rule_id).hits)
            return JSONResponse({"violations": [f"{rule_id}: {had} of {hits} hits after {timeout:g} s"]}, 408)

    async def release(self, request: Request) -> Response:
        return JSONResponse({"released": self._faults.release(request.path_params["id"])})

    async def remove(self, request: Request) -> Response:
        await self._faults.remove(request.path_params["id"])
        return Response(status_code=204)

    async def clear(self, _: Request) -> Response:
        await self._faults.clear()
        return Response(status_code=204)


class LogRoutes:
    """Control calls about the request log."""

    def __init__(self, log: RequestLog) -> None:
        self._log = log

    def routes(self) -> list[Route]:
        return [Route("/_sandbox/requests", self.select, methods=["GET"])]

    async def select(self, request: Request) -> Response:
        query = dict(request.query_params)
        wait_count = int(read_number(request, "wait_count", 0, 1_000_000))
        timeout = read_number(request, "timeout", 10, LONGEST_WAIT_SECONDS)
        after_seq = int(read_number(request, "after_seq", 0, 1e18))
        for name in ("wait_count", "timeout", "after_seq"):
            query.pop(name, None)
        effect_applied = query.pop("effect_applied", None)
        if effect_applied not in (None, "true", "false"):
            raise ControlError(400, ["effect_applied: expected true or false"])
        texts = {"seller", "sku", "operation", "method", "path", "kind", "rule_id"}
        if unknown := query.keys() - texts:
            raise ControlError(400, [f"{name}: unknown filter" for name in sorted(unknown)])
        applied = None if effect_applied is None else effect_applied == "true"
        wanted = LogFilter(effect_applied=applied, after_seq=after_seq, **query)
        if wait_count:
            entries = await self._log.wait_for(wanted, wait_count, timeout)
        else:
            entries = self._log.select(wanted)
        return JSONResponse({"requests": [entry.view() for entry in entries], "dropped": self._log.dropped})


class ClockRoutes:
    """Control calls about time, and the health of the sandbox."""

    def __init__(self, clock: Clock, marketplace: str) -> None:
        self._clock = clock
        self._marketplace = marketplace

    def routes(self) -> list[Route]:
        return [
            Route("/_sandbox/health", self.health, methods=["GET"]),
            Route("/_sandbox/clock", self.get, methods=["GET"]),
            Route("/_sandbox/clock", self.advance, methods=["POST"]),
        ]

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "serving", "marketplace": self._marketplace})

    async def get(self, _: Request) -> Response:
        return JSONResponse({"now": self._clock.now(), "offset_seconds": self._clock.offset_seconds})

    async def advance(self, request: Request) -> Response:
        seconds = (await read_object(request)).get("advance_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise ControlError(400, ["advance_seconds: expected a number that is not negative"])
        self._clock.advance(seconds)
        return await self.get(request)
