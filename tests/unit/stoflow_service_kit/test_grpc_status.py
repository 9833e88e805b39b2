import urllib.parse

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from stoflow_service_kit import errors
from stoflow_service_kit.errors import (
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    PreconditionViolation,
    ResourceExhaustedError,
    ServiceError,
)
from stoflow_service_kit.grpc_status import DETAILS_KEY, from_status, rich_error, to_status


def test_an_invalid_argument_carries_every_violation() -> None:
    """All violations are in the details in their order, and the message lists them."""
    error = InvalidArgumentError(
        [
            FieldViolation("product.title", "is longer than 80 characters", "string.max_len"),
            FieldViolation("", "names no marketplace"),
        ]
    )
    decoded = from_status(to_status(error))
    assert decoded.code is grpc.StatusCode.INVALID_ARGUMENT
    assert decoded.reason == "INVALID_ARGUMENT"
    assert decoded.message == "product.title: is longer than 80 characters; names no marketplace"
    assert decoded.violations == (
        FieldViolation("product.title", "is longer than 80 characters", "STRING_MAX_LEN"),
        FieldViolation("", "names no marketplace"),
    )


def test_preconditions_and_retry_delays_are_carried() -> None:
    """What must change and when to come again survive the way to the client."""
    violation = PreconditionViolation("JOB_STATE", "jobs/7", "The job must be PENDING.")
    failed = FailedPreconditionError("No.", reason="JOB_STATE_INVALID", preconditions=[violation])
    assert from_status(to_status(failed)).preconditions == (violation,)
    assert from_status(to_status(failed)).retry_after_seconds is None
    exhausted = ResourceExhaustedError("Later.", retry_after_seconds=1.5)
    assert from_status(to_status(exhausted)).retry_after_seconds == 1.5
    assert from_status(to_status(exhausted)).reason == "OVERLOADED"


def test_a_reason_may_be_given_with_its_prefix() -> None:
    """The name of an enum value and the bare reason give the same ErrorInfo."""
    for reason in ("ERROR_REASON_TENANT_NOT_FOUND", "TENANT_NOT_FOUND"):
        assert from_status(to_status(NotFoundError("No.", reason=reason))).reason == "TENANT_NOT_FOUND"


def test_every_class_has_its_own_code() -> None:
    """No two classes of the tree share a status code."""
    classes: list[type[ServiceError]] = [ServiceError, *ServiceError.__subclasses__()]
    assert len({cls.code for cls in classes}) == len(classes)
    assert all(cls.__name__ in (errors.__doc__ or "") for cls in classes)


@given(
    message=st.text(max_size=3_000),
    violations=st.lists(st.tuples(st.text(max_size=500), st.text(max_size=2_000)), max_size=60),
)
def test_a_status_always_fits_into_a_trailer(message: str, violations: list[tuple[str, str]]) -> None:
    """However much there is to say, details and message stay under 8 KiB, and nothing is lost uncounted."""
    error = InvalidArgumentError([FieldViolation(*each) for each in violations], message=message or "x")
    status = to_status(error)
    size = len(status.SerializeToString()) * 4 / 3 + len(urllib.parse.quote(status.message))
    assert size < 8 * 1024
    decoded = from_status(status)
    omitted = int(decoded.metadata.get("violations_omitted", "0"))
    assert len(decoded.violations) + omitted == len(violations)
    infos = [d for d in status.details if d.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    assert len(infos) == 1


@pytest.mark.parametrize("trailers", [(), ((DETAILS_KEY, b"\xff\xff\xff"),), ((DETAILS_KEY, b""),)])
def test_a_failure_without_readable_details_keeps_code_and_message(
    trailers: tuple[tuple[str, bytes], ...],
) -> None:
    """A connection error or a proxy's answer is decoded to what is there, with an empty reason."""
    failure = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(*trailers, ("x-request-id", "r1")),
        details="connection refused",
    )
    decoded = rich_error(failure)
    assert decoded.code is grpc.StatusCode.UNAVAILABLE
    assert decoded.message == "connection refused"
    assert decoded.reason == ""
    assert decoded.request_id == "r1"
