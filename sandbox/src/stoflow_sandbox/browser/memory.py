"""What a browser remembers of requests: written before anything is sent, kept until acknowledged and beyond."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REMEMBERED_SECONDS = 7 * 86_400.0
REMEMBERED_MOST = 1_000
UNACKNOWLEDGED_MOST = 200


@dataclass(slots=True)
class Entry:
    """One request id. `result` is set once it is answered, and None again once that was acknowledged."""

    request_id: str
    epoch: int
    time: float
    is_sent: bool = False
    is_acknowledged: bool = False
    result: dict[str, Any] | None = None


class RequestMemory:
    """Entries in the order of their commands, in memory or in a file that outlives the process."""

    def __init__(self, path: Path | None = None, *, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self._entries: dict[str, Entry] = {}
        if path is not None and path.exists():
            self._entries = {one["request_id"]: Entry(**one) for one in json.loads(path.read_text())}

    def find(self, request_id: str) -> Entry | None:
        return self._entries.get(request_id)

    @property
    def open(self) -> list[Entry]:
        """Entries without acknowledgement."""
        return [entry for entry in self._entries.values() if not entry.is_acknowledged]

    @property
    def is_full(self) -> bool:
        return len(self.open) >= UNACKNOWLEDGED_MOST

    def begin(self, request_id: str, epoch: int) -> Entry:
        entry = Entry(request_id, epoch, self._now())
        self._entries[request_id] = entry
        self.keep()
        return entry

    def acknowledge(self, request_id: str) -> None:
        """Forget the answer and keep the id; what never left the browser may be asked for again."""
        entry = self._entries.get(request_id)
        if entry is None or entry.result is None:
            return
        if entry.result["outcome"] == "NOT_SENT":
            del self._entries[request_id]
        else:
            entry.result, entry.is_acknowledged = None, True
        self._trim()
        self.keep()

    def _trim(self) -> None:
        oldest = self._now() - REMEMBERED_SECONDS
        done = [entry for entry in self._entries.values() if entry.is_acknowledged]
        for position, entry in enumerate(reversed(done)):
            if position >= REMEMBERED_MOST or entry.time < oldest:
                del self._entries[entry.request_id]

    def keep(self) -> None:
        """Write the file; called after every change of an entry."""
        if self._path is None:
            return
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps([asdict(entry) for entry in self._entries.values()]))
        beside.replace(self._path)
