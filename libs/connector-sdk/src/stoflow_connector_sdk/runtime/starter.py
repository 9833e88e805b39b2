"""From commands to leases: parse, ask in groups, acknowledge, begin."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import grpc
import nats.errors
from google.protobuf.message import DecodeError
from stoflow.connector.v1 import connector_service_pb2 as pb
from stoflow.connector.v1.task_pb2 import TaskCommand

from stoflow_connector_sdk.runtime.active import ActiveTask, Slots
from stoflow_connector_sdk.runtime.calls import CallError, OrchestratorClient
from stoflow_connector_sdk.runtime.commands import CommandMessage
from stoflow_connector_sdk.runtime.metrics import ConnectorMetrics
from stoflow_connector_sdk.task import ListingSource, TokenSource
from stoflow_service_kit.batching import Batcher
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

# What this process holds while the orchestrator's answer is out; its own limit is 200.
MAX_GROUP = 100
_RETRY_DELAY_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class PendingStart:
    """A command whose lease is being asked for.

    Attributes:
        message: The delivery.
        start: Command and token; the token stays the same however often it is asked.
        sent_at: Monotonic time of the first try; None before it.
        tries: Tries so far.
    """

    message: CommandMessage
    start: pb.TaskStart
    sent_at: float | None = None
    tries: int = 0


class Starter:
    """Asks for leases and hands granted attempts on."""

    def __init__(
        self,
        client: OrchestratorClient,
        instance_id: str,
        slots: Slots,
        *,
        clock: Clock,
        token_source: TokenSource,
        listing_source: ListingSource,
        metrics: ConnectorMetrics,
        register_again: Callable[[], Awaitable[object]],
        begin: Callable[[Sequence[ActiveTask], bool], None],
    ) -> None:
        """Prepares a starter.

        Args:
            client: The orchestrator.
            instance_id: Who asks.
            slots: A slot of each command that comes to nothing is given back here.
            clock: Time.
            token_source: Handed to the attempts.
            listing_source: Handed to the attempts as well.
            metrics: What is counted.
            register_again: Called when the orchestrator does not know this instance.
            begin: Takes granted attempts, with whether their leases should be extended before they run.
        """
        self._client = client
        self._instance_id = instance_id
        self._slots = slots
        self._clock = clock
        self._token_source = token_source
        self._listing_source = listing_source
        self._metrics = metrics
        self._register_again = register_again
        self._begin = begin
        self._closing = False
        self._pending: dict[tuple[str, int], PendingStart] = {}
        self._batcher: Batcher[PendingStart, pb.TaskStartResult] = Batcher(
            "StartTasks", self._flush, max_group=MAX_GROUP, workers=2, should_bisect=_is_refusal
        )

    def give_up(self) -> list[pb.TaskStart]:
        """Stops asking and returns the starts whose answers are out: their leases may exist."""
        self._closing = True
        return [pending.start for pending in self._pending.values() if pending.tries]

    async def start_all(self, messages: Sequence[CommandMessage]) -> None:
        """Asks for the leases of commands that arrived, each of which holds a slot, and begins the granted
        ones.
        """
        pending = [entry for message in messages if (entry := await self._accept(message)) is not None]
        if not pending:
            return
        results = await self._batcher.submit_all(pending)
        answered = list(zip(pending, results, strict=True))
        granted = [
            self._active(entry, result)
            for entry, result in answered
            if not isinstance(result, Exception) and result.decision == pb.START_DECISION_GRANTED
        ]
        for entry in pending:
            self._pending.pop((entry.start.command.task_id, entry.start.command.dispatch), None)
        # Begun before the acknowledgements: the leases run, and a command that comes again is stale.
        self._begin(granted, any(entry.tries > 1 for entry in pending))
        for entry, result in answered:
            await self._settle(entry, result)

    async def _accept(self, message: CommandMessage) -> PendingStart | None:
        try:
            command = TaskCommand.FromString(message.data)
        except DecodeError as error:
            await self._discard(message, str(error))
            return None
        key = (command.task_id, command.dispatch)
        if key in self._pending:
            # Delivered again while the answer is out; its first delivery will be acknowledged or come back.
            self._slots.give_back()
            return None
        entry = PendingStart(message, pb.TaskStart(command=command, lease_token=str(uuid.uuid4())))
        self._pending[key] = entry
        return entry

    async def _discard(self, message: CommandMessage, reason: str) -> None:
        # It can never become a task; left alone it would come back for ever.
        log.error("command_malformed", error=reason)
        await _quietly(message.term())
        self._slots.give_back()

    async def _flush(self, group: Sequence[PendingStart]) -> Sequence[pb.TaskStartResult | Exception]:
        request = pb.StartTasksRequest(instance_id=self._instance_id, starts=[entry.start for entry in group])

        async def ask() -> pb.StartTasksResponse:
            now = self._clock.monotonic()
            for entry in group:
                entry.sent_at = now if entry.sent_at is None else entry.sent_at
                entry.tries += 1
            return await self._client.start_tasks(request)

        while True:
            try:
                answer = await self._client.until_answered(
                    "StartTasks", ask, may_go_on=lambda: not self._closing
                )
            except CallError as error:
                if error.status.reason != "CONNECTOR_NOT_REGISTERED" or self._closing:
                    raise
                await self._register_again()
            else:
                return answer.results

    async def _settle(self, entry: PendingStart, result: pb.TaskStartResult | Exception) -> None:
        if isinstance(result, CallError) and result.status.code is grpc.StatusCode.INVALID_ARGUMENT:
            await self._discard(entry.message, str(result))
            return
        if isinstance(result, Exception):
            if not self._closing:
                log.error("start_failed", task_id=entry.start.command.task_id, error=str(result))
            await _quietly(entry.message.nak(_RETRY_DELAY_SECONDS))
            self._slots.give_back()
            return
        self._metrics.starts.labels(
            pb.StartDecision.Name(result.decision).removeprefix("START_DECISION_")
        ).inc()
        if result.decision == pb.START_DECISION_GRANTED:
            await _quietly(entry.message.ack())
            return
        if result.decision == pb.START_DECISION_STALE:
            await _quietly(entry.message.ack())
        else:
            delay = result.retry_delay.ToNanoseconds() / 1e9
            await _quietly(entry.message.nak(delay if delay > 0 else _RETRY_DELAY_SECONDS))
        self._slots.give_back()

    def _active(self, entry: PendingStart, result: pb.TaskStartResult) -> ActiveTask:
        assert entry.sent_at is not None  # noqa: S101 - it was sent, or there were no answer
        return ActiveTask.granted(
            entry.start.command,
            result,
            sent_at=entry.sent_at,
            token_source=self._token_source,
            listing_source=self._listing_source,
            clock=self._clock,
        )


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, CallError) and error.status.code in {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }


async def _quietly(answer: Awaitable[None]) -> None:
    """Answers a command; an answer that is lost only brings the command again, and then it is stale."""
    try:
        await answer
    except nats.errors.Error as error:
        log.debug("command_answer_lost", error=repr(error))
