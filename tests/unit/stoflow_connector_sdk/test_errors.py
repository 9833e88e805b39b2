import pytest
from stoflow.common.v1 import failure_pb2

from stoflow_connector_sdk import (
    AuthRequiredError,
    ConnectorError,
    DefinitionError,
    EffectOutcome,
    ErrorClass,
    LeaseTooShortError,
    NeedsHumanError,
    PermanentError,
    RateLimitedError,
    RetryableError,
    StopRequestedError,
    Violation,
)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RetryableError("x"), ErrorClass.RETRYABLE),
        (LeaseTooShortError("x"), ErrorClass.RETRYABLE),
        (StopRequestedError("x"), ErrorClass.RETRYABLE),
        (RateLimitedError("x"), ErrorClass.RATE_LIMITED),
        (AuthRequiredError("x"), ErrorClass.AUTH_REQUIRED),
        (PermanentError("x"), ErrorClass.PERMANENT),
        (NeedsHumanError("x"), ErrorClass.NEEDS_HUMAN),
    ],
)
def test_class_says_what_follows(error: ConnectorError, expected: ErrorClass) -> None:
    """Each error carries its class, and takes the effect for unknown unless told otherwise."""
    assert error.error_class is expected
    assert error.effect is EffectOutcome.UNKNOWN


def test_numbers_are_those_of_the_contract() -> None:
    """The SDK's enums translate to the contract by number, name for name."""
    for outcome in EffectOutcome:
        assert failure_pb2.EffectOutcome.Name(failure_pb2.EffectOutcome.ValueType(outcome)) == (
            f"EFFECT_OUTCOME_{outcome.name}"
        )
    for error_class in ErrorClass:
        assert failure_pb2.ErrorClass.Name(failure_pb2.ErrorClass.ValueType(error_class)) == (
            f"ERROR_CLASS_{error_class.name}"
        )


def test_permanent_error_keeps_every_violation() -> None:
    """All violations are kept, in order."""
    violations = [Violation("product.title", "too long"), Violation("", "no category", "25005")]
    assert PermanentError("refused", violations=violations).violations == tuple(violations)


def test_raw_body_loses_its_secrets_at_once() -> None:
    """An error never holds a secret of the answer it was made from."""
    error = RetryableError("x", raw_body=b'{"access_token": "s3cr3t-value"}')
    assert "s3cr3t" not in error.raw_body


def test_definition_error_lists_everything() -> None:
    """One message names all mistakes."""
    assert str(DefinitionError(["first", "second"])).splitlines() == [
        "2 mistake(s) in the connector's definition:",
        "  first",
        "  second",
    ]
