"""Commands that are open, and answers that nobody has asked for yet."""

import asyncio
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from stoflow_connector_sdk import TaskContext
from stoflow_connector_vinted.gateway.messages import Message

_NAMESPACE = uuid.UUID("b9f2f6a0-4f9c-5a5e-8b8e-6f3f0f6f1d7c")
_DERIVED_VERSION = 5
# Fewer than the 200 answers after which a browser refuses commands.
MAX_KEPT = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended.

    Attributes:
        request_id: Of the command.
        outcome: "ANSWERED", "NOT_SENT" or "UNKNOWN".
        http_status: Of the site's answer; 0 without one.
        headers: Of the site's answer.
        body: Its text.
        error_kind: As PROTOCOL.md lists them; empty when nothing went wrong.
        error_message: For people.
    """

    request_id: str
    outcome: str
    http_status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    error_kind: str = ""
    error_message: str = ""

    @classmethod
    def from_message(cls, message: Message) -> "Answer":
        """Reads a result."""
        error: dict[str, Any] = message.get("error") or {}
        return cls(
            message["request_id"],
            message["outcome"],
            message.get("http_status", 0),
            message.get("headers", {}),
            message.get("body", ""),
            error.get("kind", ""),
            error.get("message", ""),
        )

    @classmethod
    def not_sent(cls, request_id: str, kind: str, message: str) -> "Answer":
        """Makes the answer of a command that certainly did not leave the browser."""
        return cls(request_id, "NOT_SENT", error_kind=kind, error_message=message)


@dataclass(slots=True)
class OpenCommand:
    """A command that was sent to a browser and not answered yet."""

    request_id: str
    epoch: int
    client_id: str
    answer: asyncio.Future[Answer]


class AccountRequests:
    """The open commands of one account, and the answers that its browsers keep for it."""

    def __init__(self) -> None:
        self._open: dict[str, OpenCommand] = {}
        self._kept: OrderedDict[str, Answer] = OrderedDict()
        # Of commands that an instance before this one sent: still being performed.
        self._running: set[str] = set()
        self._changed = asyncio.Event()

    def begin(self, request_id: str, epoch: int, client_id: str) -> OpenCommand:
        """Notes a command that is about to be sent."""
        command = OpenCommand(request_id, epoch, client_id, asyncio.get_running_loop().create_future())
        self._open[request_id] = command
        return command

    def end(self, command: OpenCommand) -> None:
        """Forgets a command that nobody waits for any more; its answer may still come."""
        if self._open.get(command.request_id) is command:
            del self._open[command.request_id]

    def settle(self, message: Message) -> bool:
        """Takes a result; returns whether it is to be acknowledged at once, since it is of no task any more."""
        answer = Answer.from_message(message)
        self._running.discard(answer.request_id)
        command = self._open.get(answer.request_id)
        if command is not None and message["epoch"] >= command.epoch:
            if not command.answer.done():
                command.answer.set_result(answer)
            return False
        # A late one: of an attempt that is over, or of an instance that is gone.
        if not is_derived(answer.request_id):
            return True
        self._kept[answer.request_id] = answer
        self._changed.set()
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return False

    def greet(self, client_id: str, requests: list[Message]) -> None:
        """Learns from a hello what is open at the browser; of the rest certainly nothing was begun."""
        listed = {request["request_id"] for request in requests}
        self._running |= {
            request["request_id"] for request in requests if request["state"] == "RUNNING"
        } - self._open.keys()
        for command in self._open.values():
            if command.client_id == client_id and command.request_id not in listed:
                text = "The connection ended before the command reached the browser."
                _answer(command, Answer.not_sent(command.request_id, "OFFLINE", text))

    async def find_kept(self, request_ids: list[str], seconds: float) -> Answer | None:
        """Returns the answer to one of these, waiting while the browser still performs it."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            for request_id in request_ids:
                if (answer := self._kept.get(request_id)) is not None:
                    return answer
            rest = deadline - asyncio.get_running_loop().time()
            if rest <= 0 or not self._running.intersection(request_ids):
                return None
            self._changed.clear()
            try:
                async with asyncio.timeout(rest):
                    await self._changed.wait()
            except TimeoutError:
                return None

    def forget(self, request_ids: list[str]) -> list[str]:
        """Forgets answers that their task has reported; returns those that were kept."""
        return [request_id for request_id in request_ids if self._kept.pop(request_id, None) is not None]


def once_request_ids(task: TaskContext) -> list[str]:
    """Returns the request ids of a ONCE task's attempts, the present one first.

    Each attempt has its own, since a browser performs an id once: an attempt that was proven to have done nothing is
    followed by another id. The id of an earlier attempt finds its answer, whichever instance sent it.
    """
    if task.effect is None:
        raise ValueError(f"step {task.name!r} has no effect that must happen once")
    return [
        str(uuid.uuid5(_NAMESPACE, f"{task.effect.key}:{task.effect.generation}:{task.task_id}:{attempt}"))
        for attempt in range(task.attempt, 0, -1)
    ]


def new_request_id() -> str:
    """Returns an id for a command whose answer matters to its own attempt alone."""
    return str(uuid.uuid4())


def is_derived(request_id: str) -> bool:
    """Tells whether a later attempt may ask for the answer to this id."""
    return uuid.UUID(request_id).version == _DERIVED_VERSION


def _answer(command: OpenCommand, answer: Answer) -> None:
    if not command.answer.done():
        command.answer.set_result(answer)
