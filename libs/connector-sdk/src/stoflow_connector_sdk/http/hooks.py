"""Hooks that every client of this process runs, whoever made it; a contract checker need not be asked for."""

from collections.abc import Awaitable, Callable

import httpx

RequestHook = Callable[[httpx.Request], Awaitable[None]]
ResponseHook = Callable[[httpx.Response], Awaitable[None]]

# Process-wide on purpose. A response's body, and its request's, are read when a hook runs.
request_hooks: list[RequestHook] = []
response_hooks: list[ResponseHook] = []


async def run_request_hooks(request: httpx.Request) -> None:
    """Runs the hooks registered at this moment, with the body read."""
    if request_hooks or response_hooks:
        # A form with files is a stream until it is read, and no hook could look at it once it was sent.
        await request.aread()
    for hook in tuple(request_hooks):
        await hook(request)


async def run_response_hooks(response: httpx.Response) -> None:
    """Runs the hooks registered at this moment, with the body read."""
    await response.aread()
    for hook in tuple(response_hooks):
        await hook(response)
