"""Sends bytes to a method and reads how it was refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf import json_format
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status
from stoflow.common.v1 import error_reason_pb2

from tests.integration.rpc_refusals.methods import Method
from tests.integration.rpc_refusals.table import TABLE
from tests.integration.rpc_refusals.world import World, changed

TIMEOUT_SECONDS = 60
_OPTIONS = [("grpc.max_send_message_length", -1)]


@dataclass(frozen=True)
class Answer:
    """How a call ended.

    Attributes:
        outcome: "OK", or code and reason.
        violations: The fields that it names.
        has_retry_delay: Whether it says when to try again.
    """

    outcome: str
    violations: tuple[str, ...] = ()
    has_retry_delay: bool = False


class Caller:
    """Calls one method of a world."""

    def __init__(self, world: World, method: Method) -> None:
        self.world = world
        self.method = method
        self.entry = TABLE[str(method)]

    def request(self, **values: Any) -> Any:
        """Builds the table's request, with a new request_id where it has one."""
        return self.build({**self.entry.fields(self.world), **values})

    def build(self, fields: Any) -> Any:
        return json_format.ParseDict(fields, self.method.new_request())

    async def send(self, request: Any) -> Answer:
        return await self.send_raw(request.SerializeToString())

    async def send_raw(self, raw: bytes) -> Answer:
        """Sends one message.

        Fails unless a refusal carries exactly one ErrorInfo of ours with a documented reason.
        """
        try:
            await self.exchange(raw, *self.entry.following())
        except grpc.aio.AioRpcError as error:
            return read_refusal(error)
        return Answer("OK")

    async def exchange(self, *messages: bytes) -> None:
        is_stats = "stats" in self.method.path
        address = self.world.stats_address if is_stats else self.world.orchestrator.grpc_address
        async with grpc.aio.insecure_channel(address, options=_OPTIONS) as opened:
            # Without serializers bytes go as they are; the types do not know that.
            channel: Any = opened
            if self.method.is_client_streaming:
                await channel.stream_unary(self.method.path)(iter(messages), timeout=TIMEOUT_SECONDS)
            elif self.method.is_server_streaming:
                async for _ in channel.unary_stream(self.method.path)(messages[0], timeout=TIMEOUT_SECONDS):
                    pass
            else:
                await channel.unary_unary(self.method.path)(messages[0], timeout=TIMEOUT_SECONDS)


def read_refusal(error: grpc.aio.AioRpcError) -> Answer:
    """Reads an error; fails unless it is as every refusal of ours must be."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None, f"{error.code()} without details: {error.details()}"
    infos, violations = [], []
    for detail in status.details:
        info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            infos.append(info)
        if detail.Unpack(bad_request):
            violations += [violation.field for violation in bad_request.field_violations]
    (info,) = infos
    assert info.domain == "stoflow"
    assert f"ERROR_REASON_{info.reason}" in error_reason_pb2.ErrorReason.keys()  # noqa: SIM118 - not a mapping
    has_retry_delay = any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in status.details)
    return Answer(f"{error.code().name} {info.reason}", tuple(violations), has_retry_delay)


@contextmanager
def nothing_changes(world: World, *but: str) -> Iterator[None]:
    """Fails when any table or file differs afterwards."""
    before = world.snapshot()
    yield
    differing = changed(before, world.snapshot()) - set(but)
    assert not differing, f"changed: {differing}"
