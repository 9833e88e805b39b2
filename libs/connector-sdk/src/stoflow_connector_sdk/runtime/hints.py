"""Hands notifications of a marketplace to the orchestrator."""

from collections.abc import Sequence

import grpc.aio
from stoflow.connector.v1 import connector_service_pb2 as pb
from stoflow.connector.v1.connector_service_pb2_grpc import ConnectorServiceStub

from stoflow_connector_sdk.webhooks import Hint

CALL_TIMEOUT_SECONDS = 4.0


class HintSubmitter:
    """Submits hints, each once; whoever calls repeats all of them when one was not taken."""

    def __init__(self, channel: grpc.aio.Channel, marketplace: str) -> None:
        self._stub = ConnectorServiceStub(channel)
        self._marketplace = marketplace

    async def submit(self, hints: Sequence[Hint]) -> None:
        """Hands hints on.

        Raises:
            AioRpcError: The orchestrator did not take one.
        """
        for hint in hints:
            await self._stub.SubmitHint(self._message(hint), timeout=CALL_TIMEOUT_SECONDS)

    def _message(self, hint: Hint) -> pb.SubmitHintRequest:
        message = pb.SubmitHintRequest(
            marketplace=self._marketplace,
            hint_id=hint.hint_id,
            remote_account_id=hint.remote_account_id,
            kind=pb.HintKind.ValueType(hint.kind),
            remote_id=hint.remote_id,
        )
        if hint.occur_time is not None:
            message.occur_time.FromDatetime(hint.occur_time)
        return message
