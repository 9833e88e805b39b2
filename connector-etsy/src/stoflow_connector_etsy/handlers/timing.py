"""How long steps may take, from how long one request may."""

from dataclasses import dataclass

# The longest step of publish makes about a dozen requests, or reads a few pages of drafts.
_REQUESTS_IN_A_STEP = 16
# A page of receipts may have each of them read once more; a shop that is searched may have many pages.
_REQUESTS_IN_A_SCAN = 110
# However short requests are, the machine itself may be slow.
_LEAST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of a connector's steps.

    Attributes:
        request_timeout_seconds: How long one request may take.
        settle_seconds: How long after a request was sent at the latest its effect has appeared at Etsy.
    """

    request_timeout_seconds: float
    settle_seconds: float

    @property
    def repeatable_seconds(self) -> float:
        """How long an attempt at a repeatable step may take."""
        return max(_REQUESTS_IN_A_STEP * self.request_timeout_seconds, _LEAST_SECONDS)

    @property
    def scan_seconds(self) -> float:
        """How long an attempt at a step that reads many things may take."""
        return max(_REQUESTS_IN_A_SCAN * self.request_timeout_seconds, _LEAST_SECONDS)

    @property
    def once_seconds(self) -> float:
        """How long an attempt at a ONCE step may take: its probes wait for the effect to settle."""
        # Two probes before the step itself.
        return self.settle_seconds + 3 * self.repeatable_seconds
