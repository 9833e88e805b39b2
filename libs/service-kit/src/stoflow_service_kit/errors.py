"""What services raise; the gRPC server turns it into a google.rpc.Status.

    ServiceError                    code of the status
    ├── InvalidArgumentError        INVALID_ARGUMENT, every violation at once
    ├── NotFoundError               NOT_FOUND
    ├── AlreadyExistsError          ALREADY_EXISTS
    ├── FailedPreconditionError     FAILED_PRECONDITION, with what must change first
    ├── AbortedError                ABORTED: the caller lost a race and may start over
    ├── ResourceExhaustedError      RESOURCE_EXHAUSTED, usually with a retry delay
    ├── UnavailableError            UNAVAILABLE: the same call may succeed later
    ├── PermissionDeniedError       PERMISSION_DENIED
    ├── UnauthenticatedError        UNAUTHENTICATED
    └── UnimplementedError          UNIMPLEMENTED

Each status holds exactly one ErrorInfo whose domain is "stoflow" and whose reason is a value of
stoflow.common.v1.ErrorReason without its prefix. Anything else that leaves a handler becomes INTERNAL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import grpc

REASON_PREFIX = "ERROR_REASON_"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One thing that is wrong with one field.

    Attributes:
        field: Path from the request, such as `products[2].price.currency_code`; empty for the whole request.
        description: What is expected, in words for the caller.
        rule: The rule that was broken, such as `string.min_len`; may be empty.
    """

    field: str
    description: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class PreconditionViolation:
    """One condition of the system that must change before the call can succeed.

    Attributes:
        type: The kind of condition in UPPER_SNAKE_CASE, such as `JOB_STATE`.
        subject: What it is about, such as `jobs/0192…`.
        description: What must change, in words for the caller.
    """

    type: str
    subject: str
    description: str


class ServiceError(Exception):
    """An error that the caller of an RPC is meant to see."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        preconditions: Sequence[PreconditionViolation] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        """Describes the error.

        Args:
            message: One plain sentence for the caller; nothing internal.
            reason: Name of an ErrorReason value, with or without its prefix.
            metadata: Facts a program needs, such as `{"tenant_id": "7"}`.
            violations: What is wrong with the request.
            preconditions: What must change first.
            retry_after_seconds: When the same call is worth repeating.
        """
        super().__init__(message)
        self.message = message
        self.reason = reason.removeprefix(REASON_PREFIX)
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.preconditions = tuple(preconditions)
        self.retry_after_seconds = retry_after_seconds


class InvalidArgumentError(ServiceError):
    """The request is wrong whatever the state of the system."""

    code = grpc.StatusCode.INVALID_ARGUMENT

    def __init__(
        self,
        violations: Sequence[FieldViolation],
        *,
        message: str | None = None,
        reason: str = "INVALID_ARGUMENT",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Describes every violation; without a message, the message lists them."""
        text = message or "; ".join(
            f"{violation.field}: {violation.description}" if violation.field else violation.description
            for violation in violations
        )
        super().__init__(
            text or "The request is invalid.", reason=reason, metadata=metadata, violations=violations
        )


class NotFoundError(ServiceError):
    """What the request names does not exist, or not for this tenant."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExistsError(ServiceError):
    """What the request would create exists with other contents."""

    code = grpc.StatusCode.ALREADY_EXISTS


class FailedPreconditionError(ServiceError):
    """The system must change before this call can succeed; repeating it alone does not help."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class AbortedError(ServiceError):
    """A concurrent change won; the caller reads again and starts over."""

    code = grpc.StatusCode.ABORTED


class ResourceExhaustedError(ServiceError):
    """A limit is reached: the caller's own, or what this process can hold."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED

    def __init__(
        self,
        message: str,
        *,
        reason: str = "OVERLOADED",
        retry_after_seconds: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata, retry_after_seconds=retry_after_seconds)


class UnavailableError(ServiceError):
    """The same call may succeed later, perhaps at another replica."""

    code = grpc.StatusCode.UNAVAILABLE

    def __init__(
        self,
        message: str,
        *,
        reason: str = "UNAVAILABLE",
        retry_after_seconds: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata, retry_after_seconds=retry_after_seconds)


class PermissionDeniedError(ServiceError):
    """The caller is known and may not do this."""

    code = grpc.StatusCode.PERMISSION_DENIED


class UnauthenticatedError(ServiceError):
    """The caller is not known."""

    code = grpc.StatusCode.UNAUTHENTICATED


class UnimplementedError(ServiceError):
    """The method does not exist here."""

    code = grpc.StatusCode.UNIMPLEMENTED

    def __init__(self, message: str, *, reason: str = "METHOD_NOT_FOUND") -> None:
        super().__init__(message, reason=reason)
