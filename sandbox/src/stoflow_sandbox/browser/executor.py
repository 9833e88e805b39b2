"""Performs commands in the tab, one at a time, and never one request id twice."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from stoflow_sandbox.browser.memory import Entry, RequestMemory
from stoflow_sandbox.browser.operations import command_violations
from stoflow_sandbox.browser.results import Failure, answer_fields, timestamp
from stoflow_sandbox.browser.site_tab import SiteTab

OPEN_COMMANDS_MOST = 50
PHOTO_LIMIT_BYTES = 10 * 1024 * 1024
STOPPING = frozenset({"NO_SESSION", "CAPTCHA", "FORBIDDEN", "RATE_LIMITED"})

Message = dict[str, Any]


@dataclass(slots=True)
class _Running:
    """The command that is being performed, and what would be said if it ended now."""

    task: asyncio.Task[Message]
    entry: Entry
    ending: Failure | None = None


class CommandExecutor:
    """The half of a browser that acts. `send` takes a message for the gateway, and drops it while offline."""

    def __init__(
        self, memory: RequestMemory, image_origins: frozenset[str], send: Callable[[Message], None]
    ) -> None:
        self._memory = memory
        self._image_origins = image_origins
        self._send = send
        self._queue: deque[tuple[Message, Entry]] = deque()
        self._wake = asyncio.Event()
        self._running: _Running | None = None
        self.tab: SiteTab | None = None
        self.pause_reason: str | None = None
        self.epoch = 0
        self.is_active = False
        for entry in memory.open:
            if entry.result is None:
                # The process ended meanwhile: whether the site obeyed, nobody here can know.
                message = "The browser ended meanwhile."
                self._settle(
                    entry, Failure("INTERRUPTED", message, entry.is_sent).fields(), None, is_quiet=True
                )

    def session(self) -> Message:
        """Return the session as hello and session say it."""
        user = self.tab.user if self.tab is not None else None
        if self.pause_reason is not None:
            session: Message = {"state": "PAUSED", "pause": self.pause_reason}
        elif self.tab is None:
            session = {"state": "NO_TAB"}
        else:
            session = {"state": "READY" if user else "SIGNED_OUT"}
        return session | ({"user": user} if user else {})

    def open_requests(self) -> list[Message]:
        return [
            {
                "request_id": entry.request_id,
                "epoch": entry.epoch,
                "state": "RUNNING" if entry.result is None else "ANSWERED",
            }
            for entry in self._memory.open
        ]

    def send_kept_results(self) -> None:
        """Send every answer that was not acknowledged yet."""
        for entry in self._memory.open:
            if entry.result is not None:
                self._send(entry.result)

    def take(self, command: Message) -> None:
        """Answer from memory, refuse at the door, or write the id down and queue the command."""
        entry = self._memory.find(command["request_id"])
        if entry is not None:
            self._repeat(entry, command)
            return
        if refusal := self._refusal(command):
            self._send(_result(command["request_id"], command["epoch"], refusal.fields(), None))
            return
        entry = self._memory.begin(command["request_id"], command["epoch"])
        self._queue.append((command, entry))
        self._send({"type": "accepted", "request_id": entry.request_id})
        self._wake.set()

    def _repeat(self, entry: Entry, command: Message) -> None:
        entry.epoch = max(entry.epoch, command["epoch"])
        if entry.is_acknowledged:
            forgotten = Failure("FORGOTTEN", "The answer was acknowledged and is not kept.", is_sent=True)
            self._send(_result(entry.request_id, entry.epoch, forgotten.fields(), None))
        elif entry.result is None:
            self._send({"type": "accepted", "request_id": entry.request_id})
        else:
            entry.result["epoch"] = entry.epoch
            self._send(entry.result)
        self._memory.keep()

    def _refusal(self, command: Message) -> Failure | None:
        violations = command_violations(command["operation"], command["parameters"], self._image_origins)
        if violations:
            return Failure("NOT_ALLOWED", "; ".join(violations)[:500])
        if command["epoch"] < self.epoch:
            return Failure("STALE_EPOCH", f"The epoch is {self.epoch}.")
        if not self.is_active:
            return Failure("NOT_ACTIVE", "Another browser performs this account's commands.")
        if self.pause_reason is not None:
            return Failure("PAUSED", f"Paused: {self.pause_reason}.")
        unfinished = len(self._queue) + (self._running is not None)
        if unfinished >= OPEN_COMMANDS_MOST or self._memory.is_full:
            return Failure("BUSY", "Too many commands are open.")
        return None

    def acknowledge(self, request_id: str) -> None:
        """Forget an answer that the orchestrator has."""
        self._memory.acknowledge(request_id)

    def cancel(self, request_id: str) -> None:
        """Answer a command that has not begun; one that has is let go on."""
        for position, (_, entry) in enumerate(self._queue):
            if entry.request_id == request_id:
                del self._queue[position]
                self._settle(entry, Failure("CANCELLED", "Cancelled before it began.").fields(), None)
                return

    def pause(self, reason: str) -> None:
        """Stop: whatever has not begun is refused, until `resume`."""
        self.pause_reason = reason
        self._send({"type": "pause", "reason": reason})
        self.tell_session()
        while self._queue:
            _, entry = self._queue.popleft()
            self._settle(entry, Failure("PAUSED", f"Paused: {reason}.").fields(), None)

    def resume(self) -> None:
        self.pause_reason = None
        self._send({"type": "resume"})
        self.tell_session()

    def tell_session(self) -> None:
        self._send({"type": "session", "session": self.session()})

    def interrupt(self, kind: str, message: str) -> None:
        """End the running call from outside, as when its tab is closed."""
        if self._running is not None:
            self._running.ending = Failure(kind, message, self._running.entry.is_sent)
            self._running.task.cancel()

    async def run(self) -> None:
        """Perform what is queued, in order, until cancelled."""
        while True:
            while self._queue:
                await self._perform(*self._queue.popleft())
            self._wake.clear()
            await self._wake.wait()

    async def _perform(self, command: Message, entry: Entry) -> None:
        started = timestamp()
        task = asyncio.create_task(self._call(command, entry))
        self._running = _Running(task, entry)
        try:
            fields = await task
        except asyncio.CancelledError:
            if self._running.ending is None:
                task.cancel()
                raise
            fields = self._running.ending.fields()
        finally:
            self._running = None
        self._settle(entry, fields, started)
        reason = fields.get("error", {}).get("kind")
        if reason in STOPPING and fields["outcome"] == "ANSWERED":
            self.pause(reason)

    async def _call(self, command: Message, entry: Entry) -> Message:
        if self.tab is None:
            return Failure("NO_TAB", "No tab of the site is open.").fields()
        if self.tab.user is None:
            return Failure("NO_SESSION", "Nobody is signed in.").fields()
        try:
            async with asyncio.timeout(command["timeout_seconds"]):
                photo = await self._fetch_photo(command, entry)
                if isinstance(photo, Failure):
                    return photo.fields()
                self._progress(entry, "CALLING")
                entry.is_sent = True
                self._memory.keep()
                response = await self.tab.perform(command["operation"], command["parameters"], photo)
        except TimeoutError:
            return Failure("TIMEOUT", "The time was up.", entry.is_sent).fields()
        except httpx.TransportError as error:
            is_sent = not isinstance(error, httpx.ConnectError)
            return Failure("OFFLINE", f"The connection failed: {type(error).__name__}.", is_sent).fields()
        return answer_fields(response)

    async def _fetch_photo(self, command: Message, entry: Entry) -> bytes | Failure | None:
        if command["operation"] != "upload_photo":
            return None
        self._progress(entry, "FETCHING_PHOTO")
        parameters = command["parameters"]
        async with httpx.AsyncClient(trust_env=False, timeout=120) as http:
            try:
                response = await http.get(parameters["url"])
            except httpx.HTTPError as error:
                return Failure("PHOTO_UNREADABLE", f"The photo's address failed: {type(error).__name__}.")
        if response.status_code != 200 or len(response.content) > PHOTO_LIMIT_BYTES:
            return Failure("PHOTO_UNREADABLE", f"The photo's address answered {response.status_code}.")
        if hashlib.sha256(response.content).hexdigest() != parameters["content_sha256"]:
            return Failure("PHOTO_UNREADABLE", "The photo's address gave other bytes.")
        return response.content

    def _progress(self, entry: Entry, stage: str) -> None:
        self._send({"type": "progress", "request_id": entry.request_id, "stage": stage})

    def _settle(self, entry: Entry, fields: Message, started: str | None, *, is_quiet: bool = False) -> None:
        entry.result = _result(entry.request_id, entry.epoch, fields, started)
        self._memory.keep()
        if not is_quiet:
            self._send(entry.result)


def _result(request_id: str, epoch: int, fields: Message, started: str | None) -> Message:
    times = {"finished_time": timestamp()} | ({"started_time": started} if started else {})
    return {"type": "result", "request_id": request_id, "epoch": epoch, **fields, **times}
