import base64
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from stoflow_connector_sdk import MarketplaceHttpClient
from stoflow_connector_sdk.http.hooks import request_hooks, response_hooks
from stoflow_connector_sdk.http.record import record_exchanges


@pytest.fixture(autouse=True)
def own_hooks() -> Iterator[None]:
    """Hooks are process-wide: each test leaves them as it found them."""
    before = list(request_hooks), list(response_hooks)
    yield
    request_hooks[:], response_hooks[:] = before


def answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(
        201, headers={"set-cookie": "a=b"}, json={"access_token": "s3cr3t-value", "id": "7"}
    )


def make_client() -> MarketplaceHttpClient:
    return MarketplaceHttpClient("https://api.example/v1", transport=httpx.MockTransport(answer))


async def test_exchanges_are_appended_as_lines_without_secrets(tmp_path: Path) -> None:
    """Each exchange is one JSON line with both bodies, and neither tokens nor cookies stand in it."""
    path = tmp_path / "new folder" / "exchanges.jsonl"
    record_exchanges(path)
    client = make_client()
    headers = {"authorization": "Bearer s3cr3t-header", "content-language": "en-US"}
    await client.request("PUT", "/offer/1", params={"a": "b"}, headers=headers, json={"title": "Ü"})
    await client.request("POST", "/image", content=b"\xff\xd8\x00")
    text = path.read_text("utf-8")
    first, second = [json.loads(line) for line in text.splitlines()]
    assert "s3cr3t" not in text
    assert (first["method"], first["url"]) == ("PUT", "https://api.example/v1/offer/1?a=b")
    assert first["request_headers"]["content-language"] == "en-US"
    assert json.loads(first["request_body"]) == {"title": "Ü"}
    assert first["status"] == 201
    assert json.loads(first["response_body"])["id"] == "7"
    assert first["response_headers"]["set-cookie"] == "[redacted]"
    assert base64.b64decode(second["request_body_base64"]) == b"\xff\xd8\x00"


class StreamingTransport(httpx.AsyncBaseTransport):
    """Consumes a request's stream as the network does, while httpx.MockTransport reads it into the request."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        sent = b"".join([part async for part in request.stream])
        return httpx.Response(201, json={"size": len(sent)})


async def test_form_with_a_file_is_sent_whole_and_recorded(tmp_path: Path) -> None:
    """A multipart body, which httpx streams, is in the record as it was sent."""
    path = tmp_path / "exchanges.jsonl"
    record_exchanges(path)
    client = MarketplaceHttpClient("https://api.example", transport=StreamingTransport())
    response = await client.request("POST", "/image", files={"image": ("a.jpg", b"\xff\xd8", "image/jpeg")})
    body = base64.b64decode(json.loads(path.read_text("utf-8"))["request_body_base64"])
    assert b"\xff\xd8" in body
    assert response.json()["size"] == len(body)


async def test_hooks_hold_for_clients_made_before_them() -> None:
    """A hook sees every client of the process, and its complaint ends the request."""
    client = make_client()
    seen: list[str] = []

    async def note(request: httpx.Request) -> None:
        seen.append(request.url.path)

    async def complain(response: httpx.Response) -> None:
        assert response.json()["id"] == "8", "against the contract"

    request_hooks.append(note)
    response_hooks.append(complain)
    with pytest.raises(AssertionError, match="against the contract"):
        await client.request("GET", "/offer/1")
    assert seen == ["/v1/offer/1"]


async def test_client_names_itself_and_follows_no_redirect() -> None:
    """Requests carry our user agent, and a redirect is an answer like any other."""

    def redirect(request: httpx.Request) -> httpx.Response:
        assert request.headers["user-agent"].startswith("stoflow/")
        return httpx.Response(302, headers={"location": "https://elsewhere.example"})

    client = MarketplaceHttpClient(transport=httpx.MockTransport(redirect))
    assert (await client.request("GET", "https://api.example")).status_code == 302
