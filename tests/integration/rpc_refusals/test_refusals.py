"""Every public method refuses what is wrong with the right code, one ErrorInfo, and nothing changed."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_reflection.v1alpha import reflection_pb2_grpc
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from stoflow_orchestrator.paging import encode_token
from tests.integration.rpc_refusals.calling import Caller, nothing_changes, read_refusal
from tests.integration.rpc_refusals.methods import (
    MARKER,
    Method,
    oversized,
    public_methods,
    required_oneofs,
)
from tests.integration.rpc_refusals.table import ANSWERED, CHOSEN, REMEMBERED, TABLE
from tests.integration.rpc_refusals.world import World

INVALID = "INVALID_ARGUMENT INVALID_ARGUMENT"
# Of a call whose one fault is a text: what the state forbids may be said first.
EXPECTED_CODES = {ANSWERED, "INVALID_ARGUMENT", "FAILED_PRECONDITION", "ABORTED"}
METHODS = public_methods()
GREATEST_INT32 = 2**31 - 1
BEYOND_ALL_TIMES = 2**62
REMEMBERED_IN = "public.mutation_requests"


@pytest.fixture(params=METHODS, ids=str)
def caller(request: pytest.FixtureRequest, world: World) -> Caller:
    """One method after another."""
    return Caller(world, request.param)


async def test_table_holds_every_method_that_is_served(world: World) -> None:
    """Reflection of both services names exactly the services of the stubs, and the table exactly their methods."""
    assert {str(method) for method in METHODS} == TABLE.keys()
    served: set[str] = set()
    for address in (world.orchestrator.grpc_address, world.stats_address):
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
            async for response in stub.ServerReflectionInfo(_ask_for_services(), timeout=20):
                served |= {service.name for service in response.list_services_response.service}
    ours = {name for name in served if name.startswith("stoflow.")}
    assert ours == {method.descriptor.containing_service.full_name for method in METHODS}


async def _ask_for_services() -> AsyncIterator[object]:
    yield ServerReflectionRequest(list_services="*")


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_table_holds_every_id_of_a_request(method: Method) -> None:
    """Whoever adds an id to a request says what an unknown one is answered."""
    assert {str(place) for place in method.fields if place.is_id} == TABLE[str(method)].unknown.keys()


async def test_unknown_ids_are_not_found(caller: Caller) -> None:
    """An id that names nothing, or something of another tenant, is refused as the table says."""
    for place in caller.method.fields:
        expected = caller.entry.unknown.get(str(place), CHOSEN)
        if expected == CHOSEN:
            continue
        values = [place.unknown_value()]
        if place.field.name in caller.world.foreign:
            values.append(caller.world.foreign[place.field.name])
        for value in values:
            request = caller.request()
            place.put(request, value)
            remembered = (REMEMBERED_IN,) if expected == REMEMBERED else ()
            with nothing_changes(caller.world, *remembered):
                answer = await caller.send(request)
            wanted = ANSWERED if expected == REMEMBERED else expected
            assert answer.outcome == wanted, f"{place} = {value}"


async def test_wrong_states_are_refused(caller: Caller) -> None:
    """What the state of things forbids is refused with its own reason."""
    for label, (fields, expected) in caller.entry.states.items():
        with nothing_changes(caller.world):
            answer = await caller.send(caller.build(fields(caller.world)))
        assert answer.outcome == expected, label


async def test_request_id_of_another_request_is_refused(caller: Caller) -> None:
    """A request_id that was used for something else is refused, whatever the request."""
    for place in caller.method.fields:
        if place.field.name == "request_id":
            request = caller.request()
            place.put(request, caller.world.used_request_id)
            with nothing_changes(caller.world):
                answer = await caller.send(request)
            assert answer.outcome == "ALREADY_EXISTS REQUEST_ID_REUSED"


async def test_malformed_ids_are_named(caller: Caller) -> None:
    """An id that is no UUID is INVALID_ARGUMENT, and the violation names its field."""
    with nothing_changes(caller.world):
        for place in caller.method.fields:
            if place.is_uuid:
                request = caller.request()
                place.put(request, "no-uuid")
                answer = await caller.send(request)
                assert (answer.outcome, place.violation in answer.violations) == (INVALID, True), str(place)


async def test_missing_fields_are_named(caller: Caller) -> None:
    """A required field that is left out is INVALID_ARGUMENT, and the violation names it."""
    with nothing_changes(caller.world):
        for place in caller.method.fields:
            if place.is_required:
                request = caller.request()
                place.clear(request)
                answer = await caller.send(request)
                named = place.violation.removesuffix("[0]") in answer.violations
                assert (answer.outcome, named) == (INVALID, True), f"{place}: {answer}"


async def test_empty_request_lists_every_missing_field(caller: Caller) -> None:
    """An empty message is refused with all that it lacks, or is a request that asks for everything."""
    lacks = {place.violation for place in caller.method.fields if len(place.names) == 1 and place.is_required}
    lacks |= set(required_oneofs(caller.method.descriptor.input_type))
    with nothing_changes(caller.world):
        answer = await caller.send_raw(b"")
    assert {name.removesuffix("[0]") for name in lacks} <= set(answer.violations)
    assert answer.outcome == (INVALID if lacks else ANSWERED)


async def test_numbers_that_no_enum_has_are_named(caller: Caller) -> None:
    """A number outside an enum is INVALID_ARGUMENT, and the violation names the field."""
    with nothing_changes(caller.world):
        for place in caller.method.fields:
            if place.is_enum:
                request = caller.request()
                place.put(request, 9_999)
                answer = await caller.send(request)
                assert (answer.outcome, place.violation in answer.violations) == (INVALID, True), str(place)


async def test_texts_that_are_not_utf8_are_refused(caller: Caller) -> None:
    """Bytes in the place of a text make the body unreadable: INVALID_ARGUMENT, not INTERNAL."""
    with nothing_changes(caller.world):
        for place in caller.method.fields:
            if place.is_text:
                request = caller.request()
                place.put(request, MARKER)
                raw = request.SerializeToString()
                assert MARKER.encode() in raw
                answer = await caller.send_raw(raw.replace(MARKER.encode(), b"\xff" * len(MARKER)))
                assert answer.outcome == INVALID, str(place)


async def test_texts_with_nul_are_refused_or_find_nothing(caller: Caller) -> None:
    """What PostgreSQL cannot hold never comes as far as that."""
    with nothing_changes(caller.world):
        for place in caller.method.fields:
            if place.is_text:
                request = caller.request()
                place.put(request, "a\0b")
                answer = await caller.send(request)
                assert answer.outcome.partition(" ")[0] in EXPECTED_CODES, f"{place}: {answer}"


async def test_times_beyond_the_calendar_are_refused(caller: Caller) -> None:
    """A time or a duration that cannot be is INVALID_ARGUMENT."""
    with nothing_changes(caller.world):
        for place in caller.method.fields:
            for seconds in (BEYOND_ALL_TIMES, -BEYOND_ALL_TIMES):
                request = caller.request()
                if place.is_type("google.protobuf.Timestamp"):
                    place.put(request, Timestamp(seconds=seconds))
                elif place.is_type("google.protobuf.Duration"):
                    place.put(request, Duration(seconds=seconds))
                else:
                    continue
                answer = await caller.send(request)
                assert answer.outcome.startswith("INVALID_ARGUMENT"), f"{place}: {answer}"


async def test_bodies_that_are_no_message_are_refused(caller: Caller) -> None:
    """Bytes that no parser understands are INVALID_ARGUMENT with an ErrorInfo of ours."""
    whole = caller.request().SerializeToString()
    with nothing_changes(caller.world):
        for raw in (b"\xff\xff\xff\xff", whole + b"\x0a\x7f", b"\x07"):
            assert (await caller.send_raw(raw)).outcome == INVALID


async def test_messages_above_the_limit_are_refused_by_the_transport(caller: Caller) -> None:
    """More than 8 MiB is RESOURCE_EXHAUSTED before anybody reads it, and so the one refusal without an ErrorInfo."""
    with nothing_changes(caller.world):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await caller.exchange(oversized())
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_page_sizes_out_of_range_are_named(caller: Caller) -> None:
    """A page size below zero or above the documented one is INVALID_ARGUMENT."""
    with nothing_changes(caller.world):
        for place in caller.method.fields:
            if place.field.name == "page_size":
                for size in (-1, GREATEST_INT32):
                    request = caller.request()
                    place.put(request, size)
                    answer = await caller.send(request)
                    assert (answer.outcome, answer.violations) == (INVALID, ("page_size",))


async def test_page_tokens_of_no_query_or_another_are_refused(caller: Caller) -> None:
    """A token is garbage, another method's, another query's or another tenant's: PAGE_TOKEN_INVALID."""
    request = caller.request()
    if "page_token" not in request.DESCRIPTOR.fields_by_name:
        return
    other = caller.request()
    for place in caller.method.fields:
        if place.field.name in ("tenant_id", "needs_human") or str(place) == "filter.marketplace":
            place.put(other, place.unknown_value() if place.is_id else True)
    key = ["2026-01-05T10:00:00+00:00", uuid.uuid4()]
    tokens = ["!", "garbage", "AAAA", encode_token(request, []), encode_token(request, ["a\0", "b", "c"])]
    tokens += [encode_token(request, [10**40]), encode_token(request, ["9999-12-31T23:59:59-23:59", "x"])]
    tokens.append(encode_token(Caller(caller.world, _another(caller.method)).request(), key))
    if other != request:
        tokens += [encode_token(other, key), encode_token(other, [1]), encode_token(other, [uuid.uuid4()])]
    with nothing_changes(caller.world):
        for token in tokens:
            request.page_token = token
            answer = await caller.send(request)
            assert answer.outcome == "INVALID_ARGUMENT PAGE_TOKEN_INVALID", token


def _another(method: Method) -> Method:
    return next(
        m for m in METHODS if m.path != method.path and "page_token" in m.descriptor.input_type.fields_by_name
    )


async def test_methods_that_do_not_exist_are_refused_as_ours(world: World) -> None:
    """A service that is there and a method that is not: UNIMPLEMENTED with an ErrorInfo."""
    service = METHODS[0].path.rpartition("/")[0]
    async with grpc.aio.insecure_channel(world.orchestrator.grpc_address) as opened:
        channel: Any = opened
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"{service}/Dance")(b"", timeout=20)
    assert read_refusal(caught.value).outcome == "UNIMPLEMENTED METHOD_NOT_FOUND"
