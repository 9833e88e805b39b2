"""Starts services again that end by themselves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from stoflow_sandbox.demo.console import Reporter
from stoflow_sandbox.processes import ServiceProcess

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# A service that ran this long is not caught in a loop of crashes.
STEADY_SECONDS = 60.0


@dataclass(slots=True)
class _Plan:
    start_time: float
    pause_seconds: float = FIRST_PAUSE_SECONDS
    due_time: float | None = None


class Restarter:
    """Looks at services; one that ended is started again, each time after a longer pause."""

    def __init__(self, services: Sequence[ServiceProcess], reporter: Reporter) -> None:
        self._services = services
        self._reporter = reporter
        now = time.monotonic()
        self._plans = {service.name: _Plan(now) for service in services}

    def look(self) -> None:
        now = time.monotonic()
        for service in self._services:
            if not service.is_running:
                self._look_at_ended(service, self._plans[service.name], now)

    def _look_at_ended(self, service: ServiceProcess, plan: _Plan, now: float) -> None:
        if plan.due_time is None:
            if now - plan.start_time > STEADY_SECONDS:
                plan.pause_seconds = FIRST_PAUSE_SECONDS
            plan.due_time = now + plan.pause_seconds
            self._reporter.step(
                service.name,
                f"ended with exit code {service.returncode}; starting it again in {plan.pause_seconds:g} s",
            )
        elif now >= plan.due_time:
            service.start()
            plan.start_time, plan.due_time = now, None
            plan.pause_seconds = min(2 * plan.pause_seconds, LONGEST_PAUSE_SECONDS)
