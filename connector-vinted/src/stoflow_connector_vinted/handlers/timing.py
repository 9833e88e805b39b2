"""How long the steps may take."""

from dataclasses import dataclass

# For a wait behind another call of the same seller, and for the report.
_MARGIN_SECONDS = 60.0
MAX_PROBE_PAGES = 50


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of one connector; part of its manifest.

    Attributes:
        call_seconds: How long one call may take, the pace before it included.
        settle_seconds: How long after a command was sent its effect may still appear.
    """

    call_seconds: float
    settle_seconds: float

    @property
    def call(self) -> float:
        """A step of one call, or of a few."""
        return 4 * self.call_seconds + _MARGIN_SECONDS

    @property
    def page(self) -> float:
        """A step that reads a page and every entry of it."""
        return 25 * self.call_seconds + _MARGIN_SECONDS

    @property
    def once(self) -> float:
        """A step that may read the whole wardrobe twice before it acts."""
        return (2 * MAX_PROBE_PAGES + 4) * self.call_seconds + self.settle_seconds + _MARGIN_SECONDS
