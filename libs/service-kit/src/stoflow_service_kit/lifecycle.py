"""A service from its start to its end: signals, drain sequence, ready file, exit code."""

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from stoflow_service_kit.background import Background
from stoflow_service_kit.logs import configure_logs, get_logger
from stoflow_service_kit.settings import ServiceSettings
from stoflow_service_kit.startup import StartError

log = get_logger(__name__)

DRAIN_STEP_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _DrainStep:
    name: str
    run: Callable[[], Awaitable[None]]
    timeout_seconds: float


class Lifecycle:
    """What a service's bootstrap talks to.

    Attributes:
        background: The service's background tasks. They are closed where `on_drain` puts
            `background.close`, at the latest after all drain steps.
    """

    def __init__(self, service: str, ready_file: str | None = None) -> None:
        self.background = Background(self.fail)
        self._service = service
        self._ready_file = Path(ready_file) if ready_file else None
        self._steps: list[_DrainStep] = []
        self._stopping = asyncio.Event()
        self._exit_code = 0
        self._forget_ready_file(only_own=False)

    def on_drain(
        self,
        name: str,
        run: Callable[[], Awaitable[None]],
        timeout_seconds: float = DRAIN_STEP_TIMEOUT_SECONDS,
    ) -> None:
        """Registers how to end something, right after it was started.

        Steps run in the reverse order of registration, one after the other: what was started last, the
        server that takes calls, ends first, and the pools that everything uses end last.
        """
        self._steps.append(_DrainStep(name, run, timeout_seconds))

    def stop(self, reason: str, exit_code: int = 0) -> None:
        """Asks the service to drain and end; the highest exit code asked for wins."""
        self._exit_code = max(self._exit_code, exit_code)
        if not self._stopping.is_set():
            log.info("stopping", reason=reason)
            self._stopping.set()

    def fail(self, reason: str) -> None:
        """Asks the service to drain and end with exit code 1."""
        log.error("service_failed", reason=reason)
        self.stop(reason, exit_code=1)

    @property
    def is_stopping(self) -> bool:
        """Whether the drain was asked for."""
        return self._stopping.is_set()

    def serving(self, *, grpc_address: str, http_address: str, **others: str) -> None:
        """Logs `serving` with the real ports and writes the ready file; called once everything answers."""
        addresses = {"grpc_address": grpc_address, "http_address": http_address, **others}
        log.info("serving", **addresses, pid=os.getpid())
        _keep_modules_out_of_collections()
        if self._ready_file is None:
            return
        content = {"pid": os.getpid(), **addresses}
        self._ready_file.parent.mkdir(parents=True, exist_ok=True)
        # Replaced in one step: whoever waits for the file never reads half of it.
        partial = self._ready_file.with_name(f"{self._ready_file.name}.{os.getpid()}")
        partial.write_text(json.dumps(content), encoding="utf-8")
        partial.replace(self._ready_file)

    async def run(self, start: Callable[["Lifecycle"], Awaitable[None]]) -> int:
        """Starts, waits until asked to stop, drains.

        Returns:
            The process's exit code: 0 after a stop that was asked for, 1 after a failure.
        """
        starting = asyncio.ensure_future(start(self))
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
        try:
            await starting
            await stopping
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self.is_stopping or task is None or task.cancelling() > 0:
                raise
            log.info("stopped_while_starting")
        except StartError as error:
            log.error("start_failed", error=str(error))  # noqa: TRY400  The message says it all.
            self._exit_code = 1
        except Exception:
            log.exception("start_failed")
            self._exit_code = 1
        finally:
            stopping.cancel()
        await self._drain()
        return self._exit_code

    async def _drain(self) -> None:
        self._stopping.set()
        self._forget_ready_file(only_own=True)
        for step in reversed(self._steps):
            try:
                async with asyncio.timeout(step.timeout_seconds):
                    await step.run()
            except Exception:
                # The next steps still have to run: one that fails must not keep the others from ending well.
                log.exception("drain_step_failed", step=step.name)
                self._exit_code = max(self._exit_code, 1)
            else:
                log.debug("drained", step=step.name)
        await self.background.close()
        log.info("stopped", exit_code=self._exit_code)

    def _forget_ready_file(self, *, only_own: bool) -> None:
        if self._ready_file is None:
            return
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            # A successor may have written its own file already; that one stays.
            if only_own and json.loads(self._ready_file.read_text("utf-8"))["pid"] != os.getpid():
                return
            self._ready_file.unlink()


def _keep_modules_out_of_collections() -> None:
    """What the start made lives for ever: walking over it in each full collection stops everything for 100 ms."""
    gc.collect()
    gc.freeze()
    # Requests make few cycles; at the default of 700 objects a busy service collects hundreds of times a second.
    gc.set_threshold(20_000, 20, 50)


def run_service(
    service: str, settings: ServiceSettings, start: Callable[[Lifecycle], Awaitable[None]]
) -> int:
    """Runs a service until SIGTERM, SIGINT or a failure; a second signal ends it at once.

    Args:
        service: Its name in the logs.
        settings: Log settings and ready file.
        start: Bootstrap: constructs and starts everything, registers drain steps, calls `serving`, returns.

    Returns:
        The process's exit code.
    """
    configure_logs(settings.log_level, settings.log_format, service=service)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(service, settings.ready_file, start))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


async def _run(service: str, ready_file: str | None, start: Callable[[Lifecycle], Awaitable[None]]) -> int:
    lifecycle = Lifecycle(service, ready_file)
    loop = asyncio.get_running_loop()

    def on_signal(received: signal.Signals) -> None:
        if lifecycle.is_stopping:
            log.warning("killed_while_draining", signal=received.name)
            # Somebody insists: the drain may hang on the very thing that made them insist.
            os._exit(128 + received)
        lifecycle.stop(received.name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return await lifecycle.run(start)
