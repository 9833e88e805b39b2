"""The WebSocket server that sellers' browsers connect to; PROTOCOL.md says how it is spoken to."""

import asyncio
import json
import secrets
import ssl
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Origin, Subprotocol

from stoflow_connector_sdk.redaction import known_secrets
from stoflow_connector_sdk.sessions import (
    OrchestratorAwayError,
    PairedAccount,
    PairingRefusedError,
    SessionClient,
)
from stoflow_connector_vinted.gateway.account import AccountBrowsers
from stoflow_connector_vinted.gateway.attempts import PairingAttempts
from stoflow_connector_vinted.gateway.connection import BrowserConnection, part
from stoflow_connector_vinted.gateway.messages import (
    MAX_MESSAGE_BYTES,
    PATH,
    STOPS,
    SUBPROTOCOL,
    VERSION,
    MalformedMessageError,
    Message,
    read_message,
)
from stoflow_service_kit.background import Background
from stoflow_service_kit.logs import get_logger
from stoflow_service_kit.settings import join_host_port, split_host_port
from stoflow_service_kit.startup import StartError

log = get_logger(__name__)

FIRST_MESSAGE_SECONDS = 10.0
IDLE_SECONDS = 60.0
# What a browser sends beyond this while the gateway is busy waits in the browser.
MAX_WAITING_MESSAGES = 16
RENEWALS_A_LEASE = 3
DEFAULT_LEASE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """How the gateway listens.

    Attributes:
        address: `host:port`, port 0 for a free one.
        origins: Which origins are admitted, as in chrome-extension://<id>.
        certificate: Path of a certificate chain; empty for none.
        private_key: Path of its key.
    """

    address: str
    origins: Sequence[str]
    certificate: str = ""
    private_key: str = ""


class VintedGateway:
    """Accepts browsers, pairs them, and knows for each account which of them performs its commands."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.address = ""
        self._settings = settings
        self._server: Server | None = None
        self._sessions: SessionClient | None = None
        self._accounts: dict[str, AccountBrowsers] = {}
        self._attempts = PairingAttempts()
        self._renew_now = asyncio.Event()
        self._is_draining = False

    def find(self, account_id: str) -> AccountBrowsers | None:
        """Returns an account's browsers; None when none ever connected here."""
        return self._accounts.get(account_id)

    async def start(self, sessions: SessionClient, background: Background) -> None:
        """Begins to listen.

        Raises:
            StartError: The address is taken, or the certificate cannot be read.
        """
        self._sessions = sessions
        host, port = split_host_port(self._settings.address)
        try:
            self._server = await serve(
                self._serve,
                host,
                port,
                ssl=self._tls(),
                origins=[Origin(origin) for origin in self._settings.origins],
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                process_request=_only_our_path,
                max_size=MAX_MESSAGE_BYTES,
                max_queue=MAX_WAITING_MESSAGES,
                ping_interval=20.0,
                ping_timeout=20.0,
                close_timeout=2.0,
                # Bodies are JSON of a few kilobytes, and compressing secrets beside what others say is unwise.
                compression=None,
            )
        except (OSError, ssl.SSLError) as error:
            raise StartError(f"the gateway cannot listen on {self._settings.address}: {error}") from error
        bound = self._server.sockets[0].getsockname()
        self.address = join_host_port(bound[0], bound[1])
        background.spawn("renew-sessions", self._renew_for_ever)
        log.info("gateway_listening", address=self.address, tls=bool(self._settings.certificate))

    def _tls(self) -> ssl.SSLContext | None:
        if not self._settings.certificate:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._settings.certificate, self._settings.private_key)
        return context

    def begin_drain(self) -> None:
        """Takes no more browsers."""
        self._is_draining = True
        if self._server is not None:
            self._server.close(close_connections=False)

    async def stop(self) -> None:
        """Gives every session back and closes every connection."""
        self.begin_drain()
        await asyncio.gather(*(account.close() for account in self._accounts.values()))
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, socket: ServerConnection) -> None:
        try:
            await self._talk(socket)
        except MalformedMessageError as error:
            log.info("malformed_message", error=str(error))
            await part(socket, "MALFORMED", str(error))
        except TimeoutError:
            await part(socket, "TIMEOUT", "Nothing was heard for too long.")
        except OrchestratorAwayError:
            await part(socket, "UNAVAILABLE", "The orchestrator cannot be reached; come back later.", 2.0)
        except ConnectionClosed:
            # Browsers come and go; whoever waited for this one has been told.
            return

    async def _talk(self, socket: ServerConnection) -> None:
        async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
            first = read_message(await socket.recv())
        if first["type"] not in ("pair", "hello"):
            raise MalformedMessageError([f"type: {first['type']!r} is not how a browser begins"])
        if first["version"] != VERSION:
            await part(socket, "VERSION_UNSUPPORTED", f"This gateway speaks version {VERSION}.")
        elif first["type"] == "pair":
            await self._pair(socket, first)
        else:
            await self._welcome(socket, first)

    def _client(self) -> SessionClient:
        if self._sessions is None:
            raise OrchestratorAwayError("the gateway was not started")
        return self._sessions

    async def _pair(self, socket: ServerConnection, message: Message) -> None:
        address = str(socket.remote_address[0]) if socket.remote_address else ""
        if (wait := self._attempts.wait_seconds(address)) > 0:
            await part(socket, "TOO_MANY_ATTEMPTS", "Too many codes were wrong.", round(wait, 1))
            return
        token = secrets.token_urlsafe(32)
        known_secrets.add(token)
        try:
            paired = await self._client().verify_pairing(
                token,
                message["client_id"],
                code=message["code"] or "-",
                client_name=message["client_name"],
            )
        except PairingRefusedError:
            self._attempts.count_failure(address)
            await part(socket, "PAIRING_REFUSED", "The code is wrong, was used, or has ended.")
            return
        log.info("browser_paired", account_id=paired.account_id, pairing_id=paired.pairing_id)
        if paired.stop_reason:
            # A new installation knows of no stop that it could resume; typing a code is the seller's word as well.
            await self._client().resume_account(paired.tenant_id, paired.account_id)
        await _send(socket, {"type": "paired", "token": token, "account": _account(paired)})
        await socket.close()

    async def _welcome(self, socket: ServerConnection, hello: Message) -> None:
        token = hello["token"]
        known_secrets.add(token)
        try:
            if len(token) < 32:
                raise PairingRefusedError("too short for any secret of ours")
            paired = await self._client().verify_pairing(token, hello["client_id"])
            connection = BrowserConnection(socket, paired, token, hello["client_id"], hello["session"])
            await self._attend(self._account(paired), connection, hello["requests"])
        except PairingRefusedError:
            await part(socket, "UNAUTHORIZED", "This browser is not paired, or not any more.")

    async def _attend(
        self, account: AccountBrowsers, connection: BrowserConnection, requests: list[Message]
    ) -> None:
        """Serves a paired browser until it goes, however it goes."""
        try:
            await account.join(connection, requests)
            await self._say_welcome(account, connection)
            await self._listen(account, connection)
        finally:
            await account.leave(connection)

    def _account(self, paired: PairedAccount) -> AccountBrowsers:
        account = self._accounts.get(paired.account_id)
        if account is None:
            account = AccountBrowsers(
                self._client(), paired.tenant_id, paired.account_id, self._renew_now.set
            )
            self._accounts[paired.account_id] = account
        return account

    async def _say_welcome(self, account: AccountBrowsers, connection: BrowserConnection) -> None:
        role, reason = account.role_of(connection)
        await connection.send(
            {
                "type": "welcome",
                "session_id": str(uuid.uuid4()),
                "epoch": account.epoch,
                "role": role,
                "reason": reason,
                "account": _account(connection.paired),
            }
        )
        connection.was_welcomed = True
        # What happened between the hello and the welcome was told to nobody.
        if account.role_of(connection) != (role, reason):
            await connection.tell_role(account.epoch, *account.role_of(connection))
        pause = str(connection.session.get("pause", ""))
        if pause in STOPS:
            await account.stop(pause)

    async def _listen(self, account: AccountBrowsers, connection: BrowserConnection) -> None:
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                text = await connection.socket.recv()
            message = read_message(text)
            match message["type"]:
                case "result":
                    await self._take_result(account, connection, message)
                case "session":
                    connection.session = message["session"]
                    await account.elect_soon()
                case "pause":
                    connection.session = {
                        **connection.session,
                        "state": "PAUSED",
                        "pause": message["reason"],
                    }
                    if message["reason"] in STOPS:
                        await account.stop(message["reason"])
                    await account.elect_soon()
                case "resume":
                    await account.resume()
                case "ping":
                    await connection.send({"type": "pong"})
                case "accepted" | "progress":
                    # For people who watch; nothing is decided by them.
                    log.debug("browser_progress", **message)
                case "bye":
                    await self._take_bye(connection, message)
                    return
                case _:
                    raise MalformedMessageError([f"type: {message['type']!r} comes only at the beginning"])

    async def _take_result(
        self, account: AccountBrowsers, connection: BrowserConnection, message: Message
    ) -> None:
        kind = str(message.get("error", {}).get("kind", ""))
        if kind in STOPS and message["outcome"] == "ANSWERED":
            # Before whoever waits for the answer goes on: nothing more may be asked of the site.
            await account.stop(kind)
        if account.requests.settle(message):
            await connection.send({"type": "result_ack", "request_id": message["request_id"]})

    async def _take_bye(self, connection: BrowserConnection, message: Message) -> None:
        if message["reason"] == "UNPAIRED":
            await self._client().drop_pairing(connection.paired.pairing_id, connection.token)
        await connection.socket.close()

    async def _renew_for_ever(self) -> None:
        """Extends the sessions held here; one request for all of them."""
        while True:
            held = {a.account_id: a for a in self._accounts.values() if a.active is not None}
            leases = [account.lease_seconds for account in held.values()]
            interval = min(leases, default=DEFAULT_LEASE_SECONDS) / RENEWALS_A_LEASE
            self._renew_now.clear()
            try:
                # A session that was acquired meanwhile may have a shorter lease than the sleep.
                async with asyncio.timeout(interval):
                    await self._renew_now.wait()
                continue
            except TimeoutError:
                await self._renew(held)

    async def _renew(self, held: dict[str, AccountBrowsers]) -> None:
        epochs = {account_id: account.epoch for account_id, account in held.items() if account.active}
        if not epochs:
            return
        try:
            lost = await self._client().renew(epochs)
        except OrchestratorAwayError as error:
            # Nobody else can take them either while it is away.
            log.warning("sessions_not_renewed", sessions=len(epochs), error=str(error))
            return
        for account_id in lost:
            if held[account_id].epoch == epochs[account_id]:
                await held[account_id].lose()


def _only_our_path(connection: ServerConnection, request: Request) -> Response | None:
    if request.path.partition("?")[0] != PATH:
        return connection.respond(HTTPStatus.NOT_FOUND, "Browsers connect to /browser.\n")
    return None


def _account(paired: PairedAccount) -> Message:
    return {"account_id": paired.account_id, "display_name": paired.display_name}


async def _send(socket: ServerConnection, message: Message) -> None:
    await socket.send(json.dumps(message))
