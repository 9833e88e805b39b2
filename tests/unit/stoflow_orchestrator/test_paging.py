"""Page tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stoflow.catalog.v1.product_service_pb2 import ListProductsRequest
from stoflow.tenants.v1.tenant_service_pb2 import ListTenantsRequest

from stoflow_orchestrator.paging import (
    MAX_PAGE_BYTES,
    decode_token,
    encode_token,
    fit_page,
    page_size,
    single_number,
    time_and_id,
)
from stoflow_service_kit.errors import InvalidArgumentError

REQUEST = ListProductsRequest(tenant_id=1, sku="A")
TIME = datetime(2026, 1, 5, 9, 0, 0, 123456, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_token_gives_back_its_key(time: datetime, product_id: UUID) -> None:
    """Whatever time and id a page ended with, its token gives them back exactly."""
    token = encode_token(REQUEST, [time, product_id])
    assert decode_token(REQUEST, token, time_and_id) == (time, product_id)


@given(st.integers(min_value=1, max_value=2**63 - 1))
def test_token_gives_back_its_number(number: int) -> None:
    """Every id that a table can hold comes back from its token."""
    request = ListTenantsRequest()
    assert decode_token(request, encode_token(request, [number]), single_number) == number


def test_empty_token_is_the_first_page() -> None:
    """No token means the first page, and no page_size means fifty."""
    assert decode_token(REQUEST, "", time_and_id) is None
    assert page_size(REQUEST) == 50
    assert page_size(ListProductsRequest(page_size=7)) == 7


def test_page_ends_where_its_message_is_full() -> None:
    """A page holds at most its size, fewer items when they are large, and one however large it is."""
    small = [ListProductsRequest(sku="A") for _ in range(5)]
    assert fit_page(small, 3) == small[:3]
    assert fit_page(small, 9) == small
    large = [ListProductsRequest(sku="A" * (MAX_PAGE_BYTES // 2)) for _ in range(3)]
    assert fit_page(large, 9) == large[:1]
    assert fit_page([ListProductsRequest(sku="A" * MAX_PAGE_BYTES)], 9) != []
    assert fit_page([], 9) == []


def test_page_size_may_change_between_pages() -> None:
    """A token serves the same query with another page_size, and with itself as page_token."""
    token = encode_token(REQUEST, [TIME, uuid4()])
    follow_up = ListProductsRequest(tenant_id=1, sku="A", page_size=9, page_token=token)
    assert decode_token(follow_up, token, time_and_id) == decode_token(REQUEST, token, time_and_id)


@pytest.mark.parametrize(
    "other",
    [ListProductsRequest(tenant_id=2, sku="A"), ListProductsRequest(tenant_id=1), ListTenantsRequest()],
)
def test_foreign_token_is_refused(other: ListProductsRequest | ListTenantsRequest) -> None:
    """A token of another tenant, filter or method is PAGE_TOKEN_INVALID."""
    token = encode_token(REQUEST, [TIME, uuid4()])
    with pytest.raises(InvalidArgumentError) as caught:
        decode_token(other, token, time_and_id)
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


@given(st.text() | st.text("ABCDwxyz0189-_=", max_size=40))
def test_garbage_is_refused(token: str) -> None:
    """No text that nobody issued is taken for a token, and none does worse than PAGE_TOKEN_INVALID."""
    if not token:
        return
    with pytest.raises(InvalidArgumentError) as caught:
        decode_token(REQUEST, token, time_and_id)
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    "key",
    [["x", "y"], [TIME], [TIME, "no uuid"], [TIME.replace(tzinfo=None), uuid4()], [TIME, uuid4(), 1], [""]],
)
def test_forged_key_is_refused(key: list[object]) -> None:
    """A token whose key was tampered with never reaches a statement."""
    with pytest.raises(InvalidArgumentError):
        decode_token(REQUEST, encode_token(REQUEST, key), time_and_id)


@pytest.mark.parametrize("key", [[0], [-5], [2**63], ["1e3"], [1, 2], ["x"]])
def test_forged_number_is_refused(key: list[object]) -> None:
    """A number that no id can be never reaches a statement."""
    with pytest.raises(InvalidArgumentError):
        decode_token(REQUEST, encode_token(REQUEST, key), single_number)


def test_times_of_other_zones_keep_their_moment() -> None:
    """The database may answer in another time zone: the moment stays the same."""
    local = TIME.astimezone(timezone(timedelta(hours=2)))
    token = encode_token(REQUEST, [local, UUID(int=1)])
    assert decode_token(REQUEST, token, time_and_id) == (TIME, UUID(int=1))
