"""GET /images/{sha256}: an image's bytes, for whoever holds a signed address."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from stoflow_orchestrator.clients.image_store import ImageStore
from stoflow_orchestrator.services.image_addresses import ImageSignatures
from stoflow_orchestrator.services.image_check import content_type_of
from stoflow_service_kit.errors import UnavailableError

# A browser must show a picture or nothing, whatever a file's bytes could be taken for.
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, max-age=3600, immutable",
}


def image_route(store: ImageStore, signatures: ImageSignatures) -> Route:
    """Makes the route for the service's HTTP server."""

    async def get_image(request: Request) -> Response:
        sha256 = request.path_params["sha256"]
        tenant, expires, signature = (
            request.query_params.get(name, "") for name in ("tenant", "expires", "signature")
        )
        # Before anything is looked up: without a signature nobody learns which images exist.
        if not signatures.is_valid(tenant, sha256, expires, signature):
            return PlainTextResponse("The address is not signed, or it has expired.\n", status_code=403)
        try:
            found = await store.find(int(tenant), sha256)
        except UnavailableError as error:
            return PlainTextResponse(f"{error.message}\n", status_code=503)
        if found is None:
            return PlainTextResponse("There is no such image.\n", status_code=404)
        first = await anext(found.chunks, b"")
        content_type = content_type_of(first[:12])
        if content_type is None:
            await found.chunks.aclose()
            return PlainTextResponse("There is no such image.\n", status_code=404)
        headers = {**_HEADERS, "ETag": f'"{sha256}"', "Content-Length": str(found.size_bytes)}
        body = _nothing(found.chunks) if request.method == "HEAD" else _joined(first, found.chunks)
        return StreamingResponse(body, media_type=content_type, headers=headers)

    return Route("/images/{sha256}", get_image, methods=["GET"])


async def _joined(first: bytes, others: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(others):
        yield first
        async for chunk in others:
            yield chunk


async def _nothing(chunks: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    await chunks.aclose()
    yield b""
