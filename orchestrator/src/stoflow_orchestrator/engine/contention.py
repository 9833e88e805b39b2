"""Which priorities found no slot: what makes a running job yield between two of its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Contention:
    """What the last pass of admission left waiting, in this process only.

    A hint: a job that yields in vain is admitted again by the next pass, and one that should have yielded does so after
    its next task.
    """

    _left: dict[str, dict[int, int]] = field(default_factory=dict)

    def report(self, marketplace: str, left: Mapping[int, int]) -> None:
        """Replaces what is known of a marketplace.

        Args:
            marketplace: Its name.
            left: How many jobs of each priority are ready and have no slot.
        """
        if left:
            self._left[marketplace] = dict(left)
        else:
            self._left.pop(marketplace, None)

    def take(self, marketplace: str, priority: int) -> bool:
        """Tells whether a job of this priority is to give its slot to a higher one; each of those counts once."""
        left = self._left.get(marketplace)
        if not left:
            return False
        highest = min(left)
        if highest >= priority:
            return False
        left[highest] -= 1
        if not left[highest]:
            del left[highest]
        return True
