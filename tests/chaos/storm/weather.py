"""What goes wrong at the marketplace: drawn from a seed, so that a storm can be sent again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What becomes of one request."""

    NONE = "none"
    BUSY = "busy"
    """503, and nothing happened."""
    LIMITED = "limited"
    """429, and nothing happened."""
    REFUSED = "refused"
    """422, and nothing happened: the next request may be refused no more, but the job has failed."""
    SILENT = "silent"
    """No answer in time, and nothing happened."""
    SILENT_AFTER = "silent_after"
    """It happened, and there is no answer in time."""
    ERROR_AFTER = "error_after"
    """It happened, and the answer is 503."""
    RESET_AFTER = "reset_after"
    """It happened, and the connection breaks."""
    LATE = "late"
    """503, and it happens a moment later."""


_CREATIONS = {
    Fault.BUSY: 0.04,
    Fault.LIMITED: 0.015,
    Fault.REFUSED: 0.015,
    Fault.SILENT: 0.01,
    Fault.SILENT_AFTER: 0.02,
    Fault.ERROR_AFTER: 0.02,
    Fault.RESET_AFTER: 0.02,
    Fault.LATE: 0.02,
}
_REPEATABLE = {Fault.BUSY: 0.04, Fault.LIMITED: 0.015, Fault.REFUSED: 0.005, Fault.SILENT: 0.01}
_READS = {Fault.BUSY: 0.05}


@dataclass(frozen=True, slots=True)
class Weather:
    """Draws by name and number of the request, whatever the order in which requests arrive."""

    seed: int

    def of_creation(self, name: str, number: int) -> Fault:
        """Draws for a request that makes something new each time it is sent."""
        return self._draw(_CREATIONS, name, number)

    def of_repeatable(self, name: str, number: int) -> Fault:
        """Draws for a request that may be sent again."""
        return self._draw(_REPEATABLE, name, number)

    def of_read(self, name: str, number: int) -> Fault:
        """Draws for a request that changes nothing."""
        return self._draw(_READS, name, number)

    def _draw(self, chances: dict[Fault, float], name: str, number: int) -> Fault:
        rest = random.Random(f"{self.seed}:{name}:{number}").random()
        for fault, chance in chances.items():
            rest -= chance
            if rest < 0:
                return fault
        return Fault.NONE
