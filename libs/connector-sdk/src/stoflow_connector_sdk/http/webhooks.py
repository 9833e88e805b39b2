"""Serves a connector's webhooks: the hints are with the orchestrator before the marketplace hears that all is well."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stoflow_connector_sdk.redaction import remove_secrets
from stoflow_connector_sdk.webhooks import Hint, WebhookAnswer, WebhookEndpoint, WebhookRequest
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

WEBHOOK_PREFIX = "/webhooks/"
MAX_BODY_BYTES = 1024 * 1024
# Marketplaces give up after a few seconds; one that hears 503 sends again.
SUBMIT_SECONDS = 5.0

SubmitHints = Callable[[Sequence[Hint]], Awaitable[None]]
"""Hands hints to the orchestrator; raises when it does not take them."""


def webhook_routes(endpoints: Sequence[WebhookEndpoint], submit: SubmitHints) -> list[Route]:
    """Returns one route for each endpoint, for every method: what a method means is the marketplace's affair."""
    return [
        Route(
            WEBHOOK_PREFIX + endpoint.path,
            _WebhookRoute(endpoint, submit).serve,
            methods=["GET", "POST", "PUT", "HEAD"],
        )
        for endpoint in endpoints
    ]


class _WebhookRoute:
    def __init__(self, endpoint: WebhookEndpoint, submit: SubmitHints) -> None:
        self._endpoint = endpoint
        self._submit = submit

    async def serve(self, request: Request) -> Response:
        body = await _read(request)
        if body is None:
            return PlainTextResponse("too large", status_code=413)
        try:
            answer = await self._endpoint.receive(
                WebhookRequest(
                    method=request.method,
                    headers=dict(request.headers.items()),
                    query=dict(request.query_params.items()),
                    body=body,
                )
            )
        except Exception as error:  # noqa: BLE001 - whoever sent it learns nothing, and may send again
            # Its text alone: a traceback may hold what the request carried.
            log.error(  # noqa: TRY400
                "webhook_failed",
                path=self._endpoint.path,
                error=remove_secrets(f"{type(error).__name__}: {error}"),
            )
            return Response(status_code=500)
        if answer.hints and not await self._hand_on(answer.hints):
            return Response(status_code=503, headers={"retry-after": "60"})
        return _response(answer)

    async def _hand_on(self, hints: Sequence[Hint]) -> bool:
        try:
            async with asyncio.timeout(SUBMIT_SECONDS):
                await self._submit(hints)
        except Exception as error:  # noqa: BLE001 - whatever it is, the marketplace must send again
            log.warning(
                "hints_not_submitted",
                path=self._endpoint.path,
                hints=len(hints),
                error=remove_secrets(f"{type(error).__name__}: {error}"),
            )
            return False
        return True


async def _read(request: Request) -> bytes | None:
    """Returns the body; None when it is larger than allowed, whatever its headers said."""
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY_BYTES:
                return None
            parts.append(part)
    except ClientDisconnect:
        # Nobody is left to be answered; an empty body passes no signature.
        return b""
    return b"".join(parts)


def _response(answer: WebhookAnswer) -> Response:
    return Response(answer.body, status_code=answer.status, headers={"content-type": answer.content_type})
