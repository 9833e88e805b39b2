"""Signals that end a program in order."""

from __future__ import annotations

import signal
import sys
from types import FrameType

SIGNAL_EXIT_BASE = 128


def raise_on_signals(*numbers: signal.Signals) -> None:
    """Makes these signals unwind the program, so that everything it started is stopped first.

    One that is ignored stays so: `nohup` means it.
    """
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _exit)


def _exit(number: int, _: FrameType | None) -> None:
    sys.exit(SIGNAL_EXIT_BASE + number)
