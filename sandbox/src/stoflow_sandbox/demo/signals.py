"""Signals that end a program in order."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

SIGNAL_EXIT_BASE = 128

T = TypeVar("T")


def raise_on_signals(*numbers: signal.Signals) -> None:
    """Makes these signals unwind the program, so that everything it started is stopped first.

    One that is ignored stays so: `nohup` means it.
    """
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _exit)


def run_interruptibly(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Does what asyncio.run does, except that Ctrl-C never hits a half-made event loop, which would complain."""
    interrupts: list[int] = []
    with asyncio.Runner() as runner:
        before = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
        try:
            runner.get_loop()
        finally:
            signal.signal(signal.SIGINT, before)
        if interrupts:
            raise KeyboardInterrupt
        return runner.run(main())


def _exit(number: int, _: FrameType | None) -> None:
    sys.exit(SIGNAL_EXIT_BASE + number)
