"""ServiceError to google.rpc.Status, and from an RPC's failure back to something typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from stoflow_service_kit.errors import FieldViolation, PreconditionViolation, ServiceError

DOMAIN = "stoflow"
DETAILS_KEY = "grpc-status-details-bin"
REQUEST_ID_KEY = "x-request-id"

# Clients built on gRPC core refuse trailers of more than 8 KiB. The details travel as base64, and the message
# is there twice: as percent-encoded text and inside the details.
MAX_DETAILS_BYTES = 4_500
MAX_MESSAGE_CHARACTERS = 500
# Percent-encoding makes up to twelve bytes of one character.
MAX_NON_ASCII_MESSAGE_CHARACTERS = 120
MAX_DESCRIPTION_CHARACTERS = 300

_CODES = {code.value[0]: code for code in grpc.StatusCode}


def to_status(error: ServiceError) -> status_pb2.Status:
    """Builds the status, with exactly one ErrorInfo and details cut to what a trailer can carry.

    Violations that do not fit are counted in the ErrorInfo's metadata as `violations_omitted`.
    """
    limit = MAX_MESSAGE_CHARACTERS if error.message.isascii() else MAX_NON_ASCII_MESSAGE_CHARACTERS
    status = status_pb2.Status(code=error.code.value[0], message=shorten(error.message, limit))
    rest: list[error_details_pb2.PreconditionFailure | error_details_pb2.RetryInfo] = []
    if error.preconditions:
        rest.append(_precondition_failure(error.preconditions))
    if error.retry_after_seconds is not None:
        delay = Duration()
        delay.FromNanoseconds(max(int(error.retry_after_seconds * 1e9), 0))
        rest.append(error_details_pb2.RetryInfo(retry_delay=delay))
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    room = MAX_DETAILS_BYTES - len(status.message) - info.ByteSize() - sum(d.ByteSize() for d in rest)
    bad_request, omitted = _bad_request(error.violations, room)
    if omitted:
        info.metadata["violations_omitted"] = str(omitted)
    status.details.add().Pack(info)
    if error.violations:
        status.details.add().Pack(bad_request)
    for detail in rest:
        status.details.add().Pack(detail)
    return status


def _bad_request(violations: Sequence[FieldViolation], room: int) -> tuple[error_details_pb2.BadRequest, int]:
    bad_request = error_details_pb2.BadRequest()
    for index, violation in enumerate(violations):
        entry = error_details_pb2.BadRequest.FieldViolation(
            field=shorten(violation.field, MAX_DESCRIPTION_CHARACTERS),
            description=shorten(violation.description, MAX_DESCRIPTION_CHARACTERS),
            # google.rpc asks for UPPER_SNAKE_CASE; protovalidate's ids are dotted.
            reason=violation.rule.replace(".", "_").upper(),
        )
        room -= entry.ByteSize() + 3
        if room < 0:
            return bad_request, len(violations) - index
        bad_request.field_violations.append(entry)
    return bad_request, 0


def _precondition_failure(
    violations: Sequence[PreconditionViolation],
) -> error_details_pb2.PreconditionFailure:
    failure = error_details_pb2.PreconditionFailure()
    # Conditions of the system are few; the bound only guards the trailer.
    for violation in violations[:10]:
        failure.violations.add(
            type=violation.type,
            subject=violation.subject,
            description=shorten(violation.description, MAX_DESCRIPTION_CHARACTERS),
        )
    return failure


def shorten(text: str, maximum: int) -> str:
    """Cuts a text to `maximum` characters and shows that it did."""
    return text if len(text) <= maximum else text[: maximum - 3] + "..."


@dataclass(frozen=True, slots=True)
class RichError:
    """What an RPC's failure says.

    Attributes:
        code: The gRPC status code.
        message: The sentence for people.
        reason: The ErrorInfo's reason; empty when the failure did not come from a StoFlow service,
            such as a connection that could not be made.
        metadata: The ErrorInfo's facts.
        violations: What is wrong with the request.
        preconditions: What must change first.
        retry_after_seconds: When to repeat the call, if the service said so.
        request_id: The id under which the service logged the call; empty if it never arrived.
    """

    code: grpc.StatusCode
    message: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[FieldViolation, ...] = ()
    preconditions: tuple[PreconditionViolation, ...] = ()
    retry_after_seconds: float | None = None
    request_id: str = ""


def rich_error(error: grpc.aio.AioRpcError) -> RichError:
    """Decodes the details of an RPC that failed; an undecodable or missing detail is left out."""
    trailers = {str(key): value for key, value in error.trailing_metadata() or ()}
    request_id = trailers.get(REQUEST_ID_KEY, "")
    raw = trailers.get(DETAILS_KEY, b"")
    plain = RichError(
        code=error.code(),
        message=error.details() or "",
        request_id=request_id if isinstance(request_id, str) else "",
    )
    if not isinstance(raw, bytes) or not raw:
        return plain
    try:
        status = status_pb2.Status.FromString(raw)
    except DecodeError:
        # A proxy in between may write its own trailer; the code and the message still stand.
        return plain
    return from_status(status, plain.request_id)


def from_status(status: status_pb2.Status, request_id: str = "") -> RichError:
    """Decodes a google.rpc.Status."""
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    failure = error_details_pb2.PreconditionFailure()
    retry = error_details_pb2.RetryInfo()
    has_retry = False
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad_request)
        detail.Unpack(failure)
        has_retry |= detail.Unpack(retry)
    return RichError(
        code=_CODES.get(status.code, grpc.StatusCode.UNKNOWN),
        message=status.message,
        reason=info.reason,
        metadata=dict(info.metadata),
        violations=tuple(
            FieldViolation(field=entry.field, description=entry.description, rule=entry.reason)
            for entry in bad_request.field_violations
        ),
        preconditions=tuple(
            PreconditionViolation(type=entry.type, subject=entry.subject, description=entry.description)
            for entry in failure.violations
        ),
        retry_after_seconds=retry.retry_delay.ToNanoseconds() / 1e9 if has_retry else None,
        request_id=request_id,
    )
