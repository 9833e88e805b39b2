"""Histories that are written down, compared after each step."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, Self
from uuid import UUID

from tests.model.engine.driver import Driver
from tests.model.engine.engine import Place
from tests.model.engine.messages import Lease
from tests.model.engine.rows import Bell, JobRow, Outcome

P = ParamSpec("P")
SUCCESS = Outcome(remote_id="r1", output="a")


class History:
    """Takes steps, and compares everything after each; as a context it ends with what every history ends with."""

    def __init__(self, place: Place) -> None:
        self.compares = True
        self.driver = Driver(place)
        self.reference = self.driver.reference
        self.driver.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.driver.close()

    def then(self, step: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Takes a step of the driver's."""
        step(*args, **kwargs)
        if self.compares:
            self.driver.agrees()

    def reach(self, situation: Callable[[History], None]) -> None:
        """Takes the steps that lead to a situation, and compares only then."""
        self.compares = False
        situation(self)
        self.compares = True
        self.driver.agrees()

    # -- the newest of everything --

    @property
    def jobs(self) -> list[JobRow]:
        return list(self.reference.jobs.values())

    @property
    def bells(self) -> list[Bell]:
        return self.driver.engine.received

    @property
    def leases(self) -> list[Lease]:
        return self.driver.leases

    @property
    def instance(self) -> UUID:
        return self.driver.instances[0]

    # -- the usual steps --

    def create(self, action: str = "relist", **arguments: Any) -> None:
        self.then(self.driver.create, action, **arguments)

    def control(self, call: str, job: JobRow | None = None) -> None:
        self.then(self.driver.control, call, job or self.jobs[-1])

    def admit(self) -> None:
        self.then(self.driver.admit)

    def start(self, bell: Bell | None = None) -> None:
        self.then(self.driver.start, bell or self.bells[-1], self.instance)

    def begin(self) -> None:
        """Admits what may be and starts what was dispatched last."""
        self.admit()
        self.start()

    def succeed(self, lease: Lease | None = None) -> None:
        self.then(self.driver.report, lease or self.leases[-1], SUCCESS)

    def succeed_and_go_on(self, lease: Lease | None = None) -> None:
        lease = lease or self.leases[-1]
        self.then(self.driver.report, lease, SUCCESS, next_token=self.driver.token_after(lease))

    def fail(self, kind: str, effect: str = "UNKNOWN", retry_after: int | None = None) -> None:
        self.then(self.driver.report, self.leases[-1], Outcome(kind, effect, retry_after=retry_after))

    def tick_after(self, minutes: int, *, with_connectors: bool = False) -> None:
        """Time passes, and the reaper looks."""
        self.then(self.driver.let_time_pass, minutes, with_connectors=with_connectors)
        self.then(self.driver.tick)
