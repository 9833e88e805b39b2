"""Keeps the world in a folder, so that listings outlive the process: one JSON file a seller, one file a
picture.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from stoflow_sandbox.marketplaces.etsy.pictures import Picture
from stoflow_sandbox.marketplaces.etsy.state import App, Seller, World, seller_from_json, seller_to_json
from stoflow_sandbox.marketplaces.server import write_atomically

PRIVATE = 0o600


class Store(Protocol):
    """Where sellers and pictures are kept."""

    def save(self, world: World, seller: Seller) -> None:
        """Keep a seller after each change to it."""

    def forget(self, username: str) -> None:
        """Remove a seller."""

    def save_picture(self, picture: Picture) -> None:
        """Keep a picture's bytes under its digest."""

    def picture(self, digest: str) -> bytes | None:
        """Return a picture's bytes."""


class MemoryStore:
    """Keeps pictures only, and those as long as the process."""

    def __init__(self) -> None:
        self._pictures: dict[str, bytes] = {}

    def save(self, world: World, seller: Seller) -> None:
        """Do nothing: the world itself is the memory."""

    def forget(self, username: str) -> None:
        """Do nothing: the world itself is the memory."""

    def save_picture(self, picture: Picture) -> None:
        self._pictures[picture.digest] = picture.content

    def picture(self, digest: str) -> bytes | None:
        return self._pictures.get(digest)


class FolderStore:
    """Writes a seller's whole file, atomically, after each change: right for a demo, too slow under load."""

    def __init__(self, folder: Path) -> None:
        self._sellers = folder / "sellers"
        self._pictures = folder / "pictures"
        for each in (self._sellers, self._pictures):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)

    def load(self) -> World:
        """Return the world as it was kept; an empty folder is an empty world."""
        world = World()
        for path in sorted(self._sellers.glob("*.json")):
            content = json.loads(path.read_text())
            app = App(**content["app"])
            world.apps[app.client_id] = app
            world.index(seller_from_json(content["seller"]))
            for thing, last in content["last_ids"].items():
                world.ids.last[thing] = max(world.ids.last[thing], last)
        return world

    def save(self, world: World, seller: Seller) -> None:
        content = {
            "seller": seller_to_json(seller),
            "app": asdict(world.apps[seller.client_id]),
            "last_ids": world.ids.last,
        }
        write_atomically(self._path(seller.username), json.dumps(content).encode(), PRIVATE)

    def forget(self, username: str) -> None:
        self._path(username).unlink(missing_ok=True)

    def save_picture(self, picture: Picture) -> None:
        path = self._pictures / picture.digest
        if not path.exists():
            write_atomically(path, picture.content, PRIVATE)

    def picture(self, digest: str) -> bytes | None:
        path = self._pictures / digest
        return path.read_bytes() if path.exists() else None

    def _path(self, username: str) -> Path:
        # Hex keeps any username a legal file name.
        return self._sellers / f"{username.encode().hex()}.json"
