"""Which policies can be set."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from stoflow.catalog.v1.listing_service_pb2 import SetUpdatePolicyRequest

from stoflow_orchestrator.services.listings import _quiet_seconds
from stoflow_service_kit.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("is_automatic", "period", "seconds"),
    [
        (False, None, None),
        (False, Duration(seconds=30), None),
        (True, None, 60),
        (True, Duration(seconds=30), 30),
    ],
)
def test_policy_says_how_long_a_product_must_rest(
    is_automatic: bool, period: Duration | None, seconds: int | None
) -> None:
    """Automatic updates have a quiet period, a minute unless another is said; others have none."""
    request = SetUpdatePolicyRequest(is_automatic=is_automatic, quiet_period=period)
    assert _quiet_seconds(request) == seconds


def test_parts_of_seconds_are_refused() -> None:
    """A period that a column of seconds cannot hold is refused, whether it would count or not."""
    request = SetUpdatePolicyRequest(quiet_period=Duration(seconds=1, nanos=5))
    with pytest.raises(InvalidArgumentError) as caught:
        _quiet_seconds(request)
    assert [violation.field for violation in caught.value.violations] == ["quiet_period"]
