"""Who makes the call that is being handled: for the audit, for limits, and for logs."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, replace

ANONYMOUS = "anonymous"
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        subject: The `sub` of the caller's token; ANONYMOUS for calls without one, SYSTEM for what a service does by
            itself.
        peer: The caller's address as gRPC sees it, such as `ipv4:127.0.0.1:50312`; empty for SYSTEM.
        call_id: The call's request id in logs and headers; empty for SYSTEM. Not a mutation's `request_id`.
    """

    subject: str = SYSTEM
    peer: str = ""
    call_id: str = ""


current_caller: ContextVar[Caller] = ContextVar("current_caller", default=Caller())  # noqa: B039 - frozen
"""The caller of the call whose handler runs here; each call has a context of its own.

What a handler hands to another task, such as a group of commits, it must hand the caller along with.
"""


def identify_caller(subject: str) -> None:
    """Names the caller of this call; for the guard that has verified who it is."""
    current_caller.set(replace(current_caller.get(), subject=subject))
