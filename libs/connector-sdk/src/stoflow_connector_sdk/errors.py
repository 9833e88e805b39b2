"""What a service raises, grouped by what follows from it.

    ConnectorError
    ├── RetryableError            another attempt follows after a growing delay and burns one retry
    │   ├── LeaseTooShortError    the lease left no room for a remote request, so none was started
    │   └── StopRequestedError    the job was cancelled or paused, so no further remote request was started
    ├── RateLimitedError          the job waits `retry_after_seconds` and burns no retry
    ├── AuthRequiredError         the account's jobs wait until the seller connects it again
    ├── PermanentError            no attempt can succeed until the input changes; lists every violation
    ├── NeedsHumanError           nobody but a person can tell what happened; the job waits
    └── SellerOfflineError        the seller's browser is away; the job waits until it is back and burns no retry

    DefinitionError               the connector itself is wrong: it does not start

Any other exception that leaves a service counts as RetryableError with effect UNKNOWN and code "UNEXPECTED".
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from stoflow_connector_sdk.redaction import clean_body


class EffectOutcome(enum.IntEnum):
    """What is known of the effect that a failed attempt was to have at the marketplace.

    The numbers are those of stoflow.common.v1.EffectOutcome.
    """

    NOT_SENT = 1
    """It certainly did not happen and will not."""
    UNKNOWN = 2
    """The request may have reached the marketplace; the next attempt probes first."""
    DONE = 3
    """It happened, although the attempt failed."""


class RateLimitScope(enum.IntEnum):
    """Whom a limit holds back; the numbers are those of stoflow.common.v1.RateLimitScope."""

    JOB = 0
    ACCOUNT = 1
    MARKETPLACE = 2


class ErrorClass(enum.IntEnum):
    """What the orchestrator does about a failure; the numbers are those of stoflow.common.v1.ErrorClass."""

    RETRYABLE = 1
    RATE_LIMITED = 2
    AUTH_REQUIRED = 3
    PERMANENT = 4
    NEEDS_HUMAN = 5
    SELLER_OFFLINE = 6


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong with one field of the seller's data.

    Attributes:
        field: Path of the field, such as `product.title`; empty when the marketplace does not say.
        description: What is wrong and what is expected, in one sentence for the seller.
        code: The marketplace's own code for it; may be empty.
    """

    field: str
    description: str
    code: str = ""


class ConnectorError(Exception):
    """An attempt failed in a way that the service understands; raise one of the classes below."""

    error_class: ClassVar[ErrorClass] = ErrorClass.RETRYABLE

    def __init__(
        self,
        message: str,
        *,
        effect: EffectOutcome = EffectOutcome.UNKNOWN,
        code: str = "",
        http_status: int = 0,
        raw_body: str | bytes = "",
        retry_after_seconds: float | None = None,
    ) -> None:
        """Describes the failure.

        Args:
            message: One plain sentence; never a secret.
            effect: What is known of the effect. Say NOT_SENT only when the marketplace certainly did nothing.
            code: The marketplace's error code.
            http_status: Status of its answer; 0 when there was none.
            raw_body: Its answer; secrets are removed and it is cut to 16 KiB.
            retry_after_seconds: Least time to wait; None leaves it to the orchestrator.
        """
        super().__init__(message)
        self.message = message
        self.effect = effect
        self.code = code
        self.http_status = http_status
        self.raw_body = clean_body(raw_body)
        self.retry_after_seconds = retry_after_seconds


class RetryableError(ConnectorError):
    """Another attempt may succeed."""

    error_class = ErrorClass.RETRYABLE


class LeaseTooShortError(RetryableError):
    """A remote request was not started because its timeout does not fit the remaining lease."""


class StopRequestedError(RetryableError):
    """A remote request was not started because the job was cancelled or paused meanwhile."""


class RateLimitedError(ConnectorError):
    """The marketplace asked to slow down."""

    error_class = ErrorClass.RATE_LIMITED

    def __init__(
        self,
        message: str,
        *,
        scope: RateLimitScope = RateLimitScope.JOB,
        effect: EffectOutcome = EffectOutcome.UNKNOWN,
        code: str = "",
        http_status: int = 0,
        raw_body: str | bytes = "",
        retry_after_seconds: float | None = None,
    ) -> None:
        """Describes the failure.

        Args:
            scope: Whom the limit holds back until `retry_after_seconds` are over: with ACCOUNT the account's
                NORMAL and LOW jobs, with MARKETPLACE those of the marketplace, since the limit is our application's.
            message: As of every ConnectorError, like what follows.
            effect: What is known of the effect.
            code: The marketplace's error code.
            http_status: Status of its answer.
            raw_body: Its answer.
            retry_after_seconds: Least time to wait.
        """
        super().__init__(
            message,
            effect=effect,
            code=code,
            http_status=http_status,
            raw_body=raw_body,
            retry_after_seconds=retry_after_seconds,
        )
        self.scope = scope


class AuthRequiredError(ConnectorError):
    """The account's authorization is gone, and refreshing it was refused or did not help."""

    error_class = ErrorClass.AUTH_REQUIRED


class PermanentError(ConnectorError):
    """No attempt can succeed until a person changes the input."""

    error_class = ErrorClass.PERMANENT

    def __init__(
        self,
        message: str,
        *,
        violations: Sequence[Violation] = (),
        effect: EffectOutcome = EffectOutcome.UNKNOWN,
        code: str = "",
        http_status: int = 0,
        raw_body: str | bytes = "",
        retry_after_seconds: float | None = None,
    ) -> None:
        """Describes the failure with everything that is wrong, not only the first thing."""
        super().__init__(
            message,
            effect=effect,
            code=code,
            http_status=http_status,
            raw_body=raw_body,
            retry_after_seconds=retry_after_seconds,
        )
        self.violations = tuple(violations)


class NeedsHumanError(ConnectorError):
    """Only a person can tell what happened at the marketplace, or go on."""

    error_class = ErrorClass.NEEDS_HUMAN


class SellerOfflineError(ConnectorError):
    """The seller's browser, which would perform the step, is away."""

    error_class = ErrorClass.SELLER_OFFLINE


class DefinitionError(Exception):
    """The connector's own declaration is wrong; the message lists every mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(
            f"{len(problems)} mistake(s) in the connector's definition:"
            + "".join(f"\n  {problem}" for problem in problems)
        )
        self.problems = tuple(problems)
