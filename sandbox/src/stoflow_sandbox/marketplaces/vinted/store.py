"""Keeps the world in a folder, so that wardrobes outlive the process: one JSON file a member, one file a photo."""

import json
from pathlib import Path
from typing import Protocol

from stoflow_sandbox.marketplaces.server import write_atomically
from stoflow_sandbox.marketplaces.vinted.pictures import Picture
from stoflow_sandbox.marketplaces.vinted.state import Member, World, member_from_json, member_to_json

PRIVATE = 0o600


class Store(Protocol):
    """Where members and photos are kept."""

    def save(self, world: World, member: Member) -> None:
        """Keep a member after each change."""

    def forget(self, login: str) -> None:
        """Remove a member."""

    def save_picture(self, picture: Picture) -> None:
        """Keep a photo's bytes under its digest."""

    def picture(self, digest: str) -> bytes | None:
        """Return a photo's bytes."""


class MemoryStore:
    """Keeps photos only, and those as long as the process."""

    def __init__(self) -> None:
        self._pictures: dict[str, bytes] = {}

    def save(self, world: World, member: Member) -> None:
        """Do nothing: the world itself is the memory."""

    def forget(self, login: str) -> None:
        """Do nothing: the world itself is the memory."""

    def save_picture(self, picture: Picture) -> None:
        self._pictures[picture.digest] = picture.content

    def picture(self, digest: str) -> bytes | None:
        return self._pictures.get(digest)


class FolderStore:
    """Writes a member's whole file, atomically, after each change: right for a demo, too slow for a load test."""

    def __init__(self, folder: Path) -> None:
        self._members = folder / "members"
        self._pictures = folder / "pictures"
        for each in (self._members, self._pictures):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)

    def load(self) -> World:
        """Return the world as it was kept; an empty folder is an empty world."""
        world = World()
        for path in sorted(self._members.glob("*.json")):
            content = json.loads(path.read_text())
            member = member_from_json(content["member"])
            world.members[member.login] = member
            for thing, last in content["last_ids"].items():
                world.ids.last[thing] = max(world.ids.last[thing], last)
        return world

    def save(self, world: World, member: Member) -> None:
        content = {"member": member_to_json(member), "last_ids": world.ids.last}
        write_atomically(self._path(member.login), json.dumps(content).encode(), PRIVATE)

    def forget(self, login: str) -> None:
        self._path(login).unlink(missing_ok=True)

    def save_picture(self, picture: Picture) -> None:
        path = self._pictures / picture.digest
        if not path.exists():
            write_atomically(path, picture.content, PRIVATE)

    def picture(self, digest: str) -> bytes | None:
        path = self._pictures / digest
        return path.read_bytes() if path.exists() else None

    def _path(self, login: str) -> Path:
        # Hex keeps any login a legal file name.
        return self._members / f"{login.encode().hex()}.json"
