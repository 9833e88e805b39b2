"""Tasks that run for as long as the service; none of them dies silently."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum

from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.clock import Clock, SystemClock
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

# A task that ran this long before it crashed starts again with the first delay.
HEALTHY_AFTER_SECONDS = 60.0


class OnCrash(Enum):
    """What follows a crash."""

    RESTART = "restart"
    STOP_SERVICE = "stop_service"


class Background:
    """Supervises background tasks: a crash is logged, then the task restarts or the service stops."""

    def __init__(
        self,
        on_fatal: Callable[[str], None],
        *,
        backoff: Backoff | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Prepares a supervisor.

        Args:
            on_fatal: Called with a reason when a task that may not crash did.
            backoff: Delays before restarts.
            clock: What waits.
        """
        self._on_fatal = on_fatal
        self._backoff = backoff or Backoff(initial_seconds=0.2, maximum_seconds=30)
        self._clock = clock or SystemClock()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    def spawn(
        self, name: str, run: Callable[[], Awaitable[None]], *, on_crash: OnCrash = OnCrash.RESTART
    ) -> None:
        """Starts `run`; it is called again after each crash, and not after it returned.

        Raises:
            ValueError: A task of this name runs already.
        """
        if name in self._tasks:
            raise ValueError(f"a background task named {name!r} runs already")
        task = asyncio.create_task(self._supervise(name, run, on_crash), name=name)
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    @property
    def running(self) -> list[str]:
        """Names of the tasks that run or wait for their restart."""
        return list(self._tasks)

    async def close(self) -> None:
        """Cancels every task, the youngest first, and waits for each; may be called again."""
        self._closing = True
        for task in reversed(list(self._tasks.values())):
            task.cancel()
            await asyncio.wait([task])

    async def _supervise(self, name: str, run: Callable[[], Awaitable[None]], on_crash: OnCrash) -> None:
        failures = 0
        while True:
            started = self._clock.monotonic()
            try:
                await run()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self._closing or task is None or task.cancelling() > 0:
                    raise
                # It came out of something that `run` waited for: a crash like any other.
                log.exception("background_task_crashed", task=name, on_crash=on_crash.value)
            except Exception:
                log.exception("background_task_crashed", task=name, on_crash=on_crash.value)
            else:
                log.debug("background_task_finished", task=name)
                return
            if on_crash is OnCrash.STOP_SERVICE:
                self._on_fatal(f"the background task {name} crashed")
                return
            healthy = self._clock.monotonic() - started >= HEALTHY_AFTER_SECONDS
            failures = 1 if healthy else failures + 1
            await self._clock.sleep(self._backoff.delay_seconds(failures))
