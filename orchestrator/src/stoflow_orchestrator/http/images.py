"""GET /images/{sha256}: an image's bytes, for whoever holds a signed address."""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from stoflow_orchestrator.services.image_addresses import ImageSignatures
from stoflow_orchestrator.services.image_check import content_type_of
from stoflow_orchestrator.services.image_store import ImageStore

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
        path = store.path(int(tenant), sha256)
        content_type = await asyncio.to_thread(_content_type, path)
        if content_type is None:
            return PlainTextResponse("There is no such image.\n", status_code=404)
        return FileResponse(path, media_type=content_type, headers={**_HEADERS, "ETag": f'"{sha256}"'})

    return Route("/images/{sha256}", get_image, methods=["GET"])


def _content_type(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return content_type_of(file.read(12))
    except FileNotFoundError:
        return None
