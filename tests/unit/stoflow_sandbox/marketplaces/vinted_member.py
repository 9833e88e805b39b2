"""A signed-in member of the Vinted sandbox, in memory, for tests of the rules."""

import asyncio
import io
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image

from stoflow_sandbox.marketplaces.clock import Clock
from stoflow_sandbox.marketplaces.exchange import Call, Reply
from stoflow_sandbox.marketplaces.vinted.marketplace import VintedMarketplace
from stoflow_sandbox.marketplaces.vinted.members import seed_member
from stoflow_sandbox.marketplaces.vinted.sessions import COOKIE, begin_session
from stoflow_sandbox.marketplaces.vinted.state import Member, World
from stoflow_sandbox.marketplaces.vinted.store import MemoryStore

BASE_URL = "http://127.0.0.1:1"
API = "/api/v2"
TEMP_UUID = "7b0d2c6e-11aa-4d5e-9d0a-000000000001"


def png(colour: str = "navy") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Seat:
    """A member at a browser: every call carries cookie, CSRF token and origin unless a test says otherwise."""

    world: World = field(default_factory=World)
    clock: Clock = field(default_factory=Clock)
    login: str = "ann"
    site: VintedMarketplace = field(init=False)
    member: Member = field(init=False)
    headers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.member = seed_member(self.world, {"login": self.login, "password": "hush"})
        self.site = VintedMarketplace(self.world, MemoryStore(), self.clock)
        cookie = begin_session(self.world, self.login, self.clock.now())
        token = self.world.sessions[cookie].csrf_token
        self.headers = {"cookie": f"{COOKIE}={cookie}", "x-csrf-token": token, "origin": BASE_URL}

    def call(self, method: str, path: str, body: Any = None, query: str = "", **headers: str | None) -> Reply:
        sent = self.headers | {"content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        for name, value in headers.items():
            if value is None:
                sent.pop(name.replace("_", "-"), None)
        raw = json.dumps(body).encode() if body is not None else b""
        return asyncio.run(self.site.respond(Call(method, API + path, query, sent, raw, BASE_URL)))

    def upload(self, content: bytes | None = None, temp_uuid: str = TEMP_UUID) -> Reply:
        """Send the form as a browser writes it; httpx does the writing."""
        request = httpx.Request(
            "POST",
            BASE_URL,
            data={"photo[type]": "item", "photo[temp_uuid]": temp_uuid},
            files={"photo[file]": ("one.png", content if content is not None else png(), "image/png")},
        )
        headers = self.headers | {"content-type": request.headers["content-type"]}
        return asyncio.run(
            self.site.respond(Call("POST", f"{API}/photos", "", headers, request.read(), BASE_URL))
        )

    def item_body(self, photo_ids: list[int] | None = None, **changes: Any) -> dict[str, Any]:
        photos = photo_ids if photo_ids is not None else [self.upload().content["id"]]
        item = {
            "id": None,
            "currency": "EUR",
            "temp_uuid": TEMP_UUID,
            "title": "Blue linen shirt",
            "description": "Worn twice, no marks.",
            "brand_id": None,
            "size_id": 208,
            "catalog_id": 536,
            "status_id": 2,
            "price": 25,
            "package_size_id": 1,
            "color_ids": [9],
            "assigned_photos": [{"id": photo, "orientation": 0} for photo in photos],
            "item_attributes": [],
        }
        return {
            "item": item | changes,
            "push_up": False,
            "parcel": None,
            "upload_session_id": str(uuid.UUID(TEMP_UUID)),
        }

    def create(self, **changes: Any) -> int:
        reply = self.call("POST", "/item_upload/items", self.item_body(**changes))
        assert reply.status == 200, reply.content
        item_id: int = reply.content["item"]["id"]
        return item_id

    def wardrobe(self, query: str = "page=1&per_page=96") -> dict[str, Any]:
        reply = self.call("GET", f"/wardrobe/{self.member.user_id}/items", query=query)
        content: dict[str, Any] = reply.content
        return content


def wrong_fields(reply: Reply) -> list[str]:
    return sorted({error["field"] for error in reply.content.get("errors", [])})
