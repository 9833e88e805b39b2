from stoflow.common.v1.error_reason_pb2 import ErrorReason

from stoflow_service_kit.errors import (
    REASON_PREFIX,
    InvalidArgumentError,
    ResourceExhaustedError,
    UnavailableError,
    UnimplementedError,
)


def test_the_kits_own_reasons_are_in_the_contract() -> None:
    """Every reason that the kit gives without being told to is a value of the documented enum."""
    errors = [
        InvalidArgumentError([]),
        ResourceExhaustedError("x"),
        UnavailableError("x"),
        UnimplementedError("x"),
    ]
    known = ErrorReason.keys()
    for reason in ["INTERNAL", *(error.reason for error in errors)]:
        assert REASON_PREFIX + reason in known
