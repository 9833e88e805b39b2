"""Writes each HTTP exchange to a file, so that a test can check a connector process from outside."""

import base64
import threading
from pathlib import Path
from typing import Any

import httpx
import orjson

from stoflow_connector_sdk.http.hooks import response_hooks
from stoflow_connector_sdk.redaction import remove_secrets

_SECRET_HEADERS = frozenset({"authorization", "cookie", "set-cookie", "x-api-key", "proxy-authorization"})
_lock = threading.Lock()


def record_exchanges(path: Path) -> None:
    """Appends every exchange of this process to a file, one JSON object a line, secrets removed."""
    path.parent.mkdir(parents=True, exist_ok=True)

    async def append(response: httpx.Response) -> None:
        line = orjson.dumps(exchange(response)) + b"\n"
        # One write in append mode: several processes may share the file.
        with _lock, path.open("ab", buffering=0) as file:
            file.write(line)

    response_hooks.append(append)


def exchange(response: httpx.Response) -> dict[str, Any]:
    """Returns one exchange as JSON; a body that is no text is under `..._base64`."""
    request = response.request
    return {
        "method": request.method,
        "url": remove_secrets(str(request.url)),
        "request_headers": _headers(request.headers),
        **_body("request_body", request.content),
        "status": response.status_code,
        "response_headers": _headers(response.headers),
        **_body("response_body", response.content),
    }


def _headers(headers: httpx.Headers) -> dict[str, str]:
    return {
        name: "[redacted]" if name in _SECRET_HEADERS else remove_secrets(value)
        for name, value in headers.items()
    }


def _body(name: str, content: bytes) -> dict[str, str]:
    try:
        return {name: remove_secrets(content.decode("utf-8"))}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content).decode("ascii")}
