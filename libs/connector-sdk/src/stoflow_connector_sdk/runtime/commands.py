"""Where commands and directives come from."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol


class CommandMessage(Protocol):
    """One delivery of a command."""

    @property
    def data(self) -> bytes: ...

    async def ack(self) -> None: ...

    async def nak(self, delay: float | None = None) -> None: ...

    async def term(self) -> None: ...


class CommandSource(Protocol):
    """A durable consumer to pull from: `stoflow_service_kit.nats_consumer.PullConsumer`, or a double of
    it.
    """

    async def next_batch(self) -> Sequence[CommandMessage]:
        """Waits for commands; an empty sequence means stopped."""
        ...

    def wake(self) -> None:
        """Tells that slots came free."""
        ...

    async def stop(self) -> None:
        """Stops pulling and gives back what was not returned yet."""
        ...


OpenSource = Callable[[str, str, Callable[[], int], float], CommandSource]
"""Opens a source: stream, consumer, how many commands are welcome now, and the seconds after which a request for
commands is over by itself, so that a process that was stopped does not draw commands for long."""

OpenDoorbell = Callable[[str, Callable[[], None]], Awaitable[None]]
"""Listens on a subject for as long as the process lives, and calls back for each message."""
