"""How long steps may take, from how long one request may."""

from dataclasses import dataclass

# The longest step makes five requests and a token refresh; one more leaves room for the work in between.
_REQUESTS_IN_A_STEP = 7
# A page of a sync: itself, a hundred reads of which eight run at once, a token refresh, and room.
_ROUNDS_IN_A_PAGE = 17
# The preflight asks eight things, each with a token and its refresh at most once, and reads the item.
_REQUESTS_IN_A_PREFLIGHT = 12
# However short requests are, the machine itself may be slow.
_LEAST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of a connector's steps.

    Attributes:
        request_timeout_seconds: How long one request may take.
        settle_seconds: How long after a request was sent at the latest its effect has appeared at eBay.
    """

    request_timeout_seconds: float
    settle_seconds: float

    @property
    def repeatable_seconds(self) -> float:
        """How long an attempt at a repeatable step may take."""
        return max(_REQUESTS_IN_A_STEP * self.request_timeout_seconds, _LEAST_SECONDS)

    @property
    def reading_seconds(self) -> float:
        """How long an attempt at a step of a sync that reads many things may take."""
        return max(_ROUNDS_IN_A_PAGE * self.request_timeout_seconds, _LEAST_SECONDS)

    @property
    def preflight_seconds(self) -> float:
        """How long an attempt at the preflight may take."""
        return max(_REQUESTS_IN_A_PREFLIGHT * self.request_timeout_seconds, _LEAST_SECONDS)

    @property
    def once_seconds(self) -> float:
        """How long an attempt at a ONCE step may take: its probes wait for the effect to settle."""
        # Two probes before the step itself.
        return self.settle_seconds + 3 * self.repeatable_seconds
