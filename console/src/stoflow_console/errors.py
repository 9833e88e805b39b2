"""What ends a command; the message alone tells a person what to do."""

from __future__ import annotations

import grpc
import grpc.aio

from stoflow_service_kit.grpc_channel import rich_error

# The call may have happened: only its answer is missing.
_UNSURE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNKNOWN}


class ConsoleError(Exception):
    """The command could not do what it was asked to."""


def describe_call_error(error: grpc.aio.AioRpcError, address: str, request_id: str) -> str:
    """Says what a failed call answered, every violation included, and how to repeat it."""
    rich = rich_error(error)
    reason = f" ({rich.reason})" if rich.reason else ""
    lines = [f"{address} answered {rich.code.name}{reason}: {rich.message}"]
    lines += [f"  {one.field}: {one.description}" for one in rich.violations]
    if rich.code in _UNSURE:
        lines.append(f"Repeat the command with --request-id {request_id}: nothing is done twice.")
    return "\n".join(lines)
