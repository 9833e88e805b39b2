"""The gateway at its door: who may come in, what is understood, and why it closes."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from stoflow.accounts.v1.account_pb2 import AccountStopReason
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from stoflow_connector_sdk.testing import InMemoryOrchestrator, run_against
from stoflow_connector_sdk.testing.sessions import MemoryAccount
from stoflow_connector_vinted.bootstrap import make_definition
from stoflow_connector_vinted.gateway.server import VintedGateway
from stoflow_connector_vinted.settings import VintedSettings

ORIGIN = "chrome-extension://abcdefghijklmnop"
CODE = "K7QM-4TXP"


class Door:
    """A gateway and the account that a browser may act for."""

    def __init__(self, gateway: VintedGateway, account: MemoryAccount) -> None:
        self.url = f"ws://{gateway.address}/browser"
        self.account = account
        self.client_id = str(uuid.uuid4())

    def connect(self, **options: Any) -> connect:
        fields: dict[str, Any] = {
            "origin": Origin(ORIGIN),
            "subprotocols": [Subprotocol("stoflow.browser.v1")],
            "proxy": None,
            **options,
        }
        return connect(self.url, **fields)

    def greeting(self, type_: str, **fields: Any) -> dict[str, Any]:
        named = {"version": 1, "client_id": self.client_id, "client_name": "Test"}
        return {"type": type_, **named, **fields}

    def hello(self, token: str, **fields: Any) -> dict[str, Any]:
        session = {"state": "READY", "user": {"id": "1001", "login": "ann"}}
        return self.greeting("hello", token=token, session=session, requests=[]) | fields

    async def pair(self) -> str:
        self.account.code = CODE
        async with self.connect() as socket:
            answer = await ask(socket, self.greeting("pair", code=CODE))
        return str(answer["token"])


async def ask(socket: ClientConnection, message: dict[str, Any] | str | bytes) -> dict[str, Any]:
    """Sends a message and returns the answer."""
    await socket.send(json.dumps(message) if isinstance(message, dict) else message)
    answer: dict[str, Any] = json.loads(await socket.recv())
    return answer


async def closing_code(socket: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed):
        await socket.recv()
    return socket.close_code


@asynccontextmanager
async def open_door() -> AsyncIterator[Door]:
    definition = make_definition(
        VintedSettings(
            orchestrator_address="127.0.0.1:1",
            nats_url="nats://127.0.0.1:1",
            vinted_site_url="http://127.0.0.1:1",
            vinted_allowed_origins=ORIGIN,
        )
    )
    gateway = definition.gateway
    assert isinstance(gateway, VintedGateway)
    async with InMemoryOrchestrator(heartbeat_seconds=0.2) as orchestrator:
        account = MemoryAccount()
        orchestrator.servicer.accounts[account.account_id] = account
        async with run_against(orchestrator, definition):
            yield Door(gateway, account)


async def test_strangers_are_turned_away_before_a_word_is_said() -> None:
    """Another origin, or another path, is refused with the handshake."""
    async with open_door() as door:
        for options in ({"origin": Origin("https://evil.example")}, {"origin": None}):
            with pytest.raises(InvalidStatus) as refused:
                await door.connect(**options)
            assert refused.value.response.status_code == 403
        door.url = door.url.removesuffix("browser")
        with pytest.raises(InvalidStatus) as lost:
            await door.connect()
        assert lost.value.response.status_code == 404


@pytest.mark.parametrize(
    "message",
    ["no json", b"{}", '{"type": "dance"}', '{"type": "ping"}', '{"type": "pair", "version": 1}'],
    ids=["no JSON", "binary", "unknown", "not first", "fields missing"],
)
async def test_malformed_beginnings_close_with_a_reason(message: str | bytes) -> None:
    """What is not understood ends the connection as MALFORMED, with what is wrong and code 4400."""
    async with open_door() as door, door.connect() as socket:
        bye = await ask(socket, message)
        assert (bye["type"], bye["reason"], bool(bye["message"])) == ("bye", "MALFORMED", True)
        assert await closing_code(socket) == 4400


async def test_malformed_message_of_a_welcome_browser_closes_its_session() -> None:
    """A browser that breaks the protocol later is closed as well, and the account is free for another."""
    async with open_door() as door:
        token = await door.pair()
        async with door.connect() as socket:
            assert (await ask(socket, door.hello(token)))["role"] == "ACTIVE"
            bye = await ask(socket, {"type": "result", "request_id": "x"})
            assert bye["reason"] == "MALFORMED"
            assert await closing_code(socket) == 4400
        async with door.connect() as socket:
            assert (await ask(socket, door.hello(token)))["role"] == "ACTIVE"


async def test_message_beyond_the_limit_is_refused() -> None:
    """A frame above 4 MiB ends the connection as too big."""
    async with open_door() as door:
        token = await door.pair()
        async with door.connect() as socket:
            await ask(socket, door.hello(token))
            # In parts: the server says so as soon as the limit is passed.
            with pytest.raises(ConnectionClosed):
                await socket.send(["x" * 1024 * 1024] * 64)
            assert socket.close_code == 1009


async def test_secret_of_another_installation_or_of_nobody_is_unauthorized() -> None:
    """A token is good for the installation that it was given to, until it is revoked."""
    async with open_door() as door:
        token = await door.pair()
        for hello in (
            door.hello("t" * 43),
            door.hello("short"),
            {**door.hello(token), "client_id": str(uuid.uuid4())},
        ):
            async with door.connect() as socket:
                assert (await ask(socket, hello))["reason"] == "UNAUTHORIZED"
                assert await closing_code(socket) == 4401


async def test_later_version_is_told_to_update_and_bye_unpairs() -> None:
    """A version that is not spoken here is refused; a browser that forgets its token has its pairing revoked."""
    async with open_door() as door:
        token = await door.pair()
        async with door.connect() as socket:
            assert (await ask(socket, {**door.hello(token), "version": 2}))["reason"] == "VERSION_UNSUPPORTED"
            assert await closing_code(socket) == 4406
        async with door.connect() as socket:
            await ask(socket, door.hello(token))
            await socket.send(json.dumps({"type": "bye", "reason": "UNPAIRED", "message": "Forgotten."}))
            await closing_code(socket)
        assert door.account.tokens == {}


async def test_too_many_wrong_codes_have_to_wait() -> None:
    """After ten wrong codes within a minute an address is told how long to wait, also with a right one."""
    async with open_door() as door:
        for _ in range(10):
            async with door.connect() as socket:
                assert (await ask(socket, door.greeting("pair", code="WRONG")))["reason"] == "PAIRING_REFUSED"
        door.account.code = CODE
        async with door.connect() as socket:
            bye = await ask(socket, door.greeting("pair", code=CODE))
            assert bye["reason"] == "TOO_MANY_ATTEMPTS"
            assert 0 < bye["retry_after_seconds"] <= 60


async def test_newer_connection_of_a_browser_replaces_the_older() -> None:
    """A browser has one connection: the older is told REPLACED, the newer acts under a greater epoch."""
    async with open_door() as door:
        token = await door.pair()
        async with door.connect() as older, door.connect() as newer:
            first = await ask(older, door.hello(token))
            second = await ask(newer, door.hello(token))
            assert (second["role"], second["epoch"] > first["epoch"]) == ("ACTIVE", True)
            assert json.loads(await older.recv())["reason"] == "REPLACED"
            assert await closing_code(older) == 4409
            assert (await ask(newer, {"type": "ping"}))["type"] == "pong"


async def test_stopped_account_goes_on_when_its_seller_pairs_anew() -> None:
    """Whoever lost the browser that was stopped is not locked out: a new pairing is the seller's word as well."""
    async with open_door() as door:
        door.account.stop_reason = AccountStopReason.ACCOUNT_STOP_REASON_NEEDS_HUMAN
        token = await door.pair()
        assert door.account.stop_reason == AccountStopReason.ACCOUNT_STOP_REASON_UNSPECIFIED
        async with door.connect() as socket:
            assert (await ask(socket, door.hello(token)))["role"] == "ACTIVE"


async def test_browser_that_comes_back_stopped_stops_its_account() -> None:
    """A stop that the connector did not live to hear of is heard of with the next hello, and a resumption ends it."""
    async with open_door() as door:
        token = await door.pair()
        session = {"state": "PAUSED", "pause": "CAPTCHA", "user": {"id": "1001", "login": "ann"}}
        async with door.connect() as socket:
            welcome = await ask(socket, {**door.hello(token), "session": session})
            assert (welcome["role"], welcome["reason"]) == ("STANDBY", "NOT_READY")
            await ask(socket, {"type": "ping"})
            assert door.account.stop_reason == AccountStopReason.ACCOUNT_STOP_REASON_NEEDS_HUMAN
            await socket.send('{"type": "resume"}')
            await ask(socket, {"type": "ping"})
            assert door.account.stop_reason == AccountStopReason.ACCOUNT_STOP_REASON_UNSPECIFIED
