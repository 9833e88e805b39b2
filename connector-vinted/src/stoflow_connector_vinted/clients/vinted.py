"""The calls of Vinted's site that a browser performs, and what their answers hold.

Vinted documents none of them; the shapes are those that its own pages use, as third-party clients describe them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stoflow_connector_sdk import EffectOutcome, RetryableError, TaskContext
from stoflow_connector_vinted.clients.browser import BrowserClient
from stoflow_connector_vinted.errors import VintedRefusedError

WARDROBE_PAGE = 96


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture to upload: where the browser fetches it, and what it must be."""

    url: str
    content_sha256: str
    media_type: str
    file_name: str
    temp_uuid: str


@dataclass(frozen=True, slots=True)
class WardrobeItem:
    """An article as a wardrobe shows it.

    Attributes:
        item_id: The site's number.
        title: As the seller wrote it.
        url: Its page.
        photo_ids: Numbers of its pictures.
        price: Amount as text and currency; None when it is not shown.
        is_closed: Whether it was sold.
        is_draft: Whether no buyer sees it yet.
    """

    item_id: str
    title: str
    url: str
    photo_ids: frozenset[str]
    price: tuple[str, str] | None
    is_closed: bool
    is_draft: bool


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; `total` counts the entries of all pages."""

    entries: Sequence[Mapping[str, Any]]
    total_pages: int
    total: int


class VintedClient:
    """One call a method; each raises ConnectorError for what the browser or the site refuses."""

    def __init__(self, browser: BrowserClient) -> None:
        self._browser = browser

    def user_id(self, task: TaskContext) -> str:
        """Returns the site's id of the seller."""
        return self._browser.user_id(task)

    async def upload_photo(self, task: TaskContext, photo: Photo) -> str:
        """Uploads a picture; returns its number. A repeat makes another, which no item shows."""
        parameters = {
            "url": photo.url,
            "content_sha256": photo.content_sha256,
            "media_type": photo.media_type,
            "file_name": photo.file_name,
            "temp_uuid": photo.temp_uuid,
        }
        return _number(await self._browser.change(task, "upload_photo", parameters), "id")

    async def create_item(self, task: TaskContext, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Creates an item; returns it."""
        return _item(await self._browser.change_once(task, "create_item", {"body": body}))

    async def find_created_item(self, task: TaskContext) -> Mapping[str, Any] | None:
        """Returns what an earlier attempt's `create_item` was answered, when a browser has kept it."""
        answer = await self._browser.find_answer(task)
        return None if answer is None else _item(answer)

    async def find_item(self, task: TaskContext, item_id: str) -> Mapping[str, Any] | None:
        """Returns an item of the seller as the upload form reads it; None when there is none."""
        try:
            return _item(await self._browser.read(task, "get_item", {"item_id": item_id}))
        except VintedRefusedError as error:
            if error.is_absent:
                return None
            raise

    async def update_item(
        self, task: TaskContext, item_id: str, body: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Replaces an item whole; returns it."""
        return _item(await self._browser.change(task, "update_item", {"item_id": item_id, "body": body}))

    async def delete_item(self, task: TaskContext, item_id: str) -> None:
        """Deletes an item."""
        await self._browser.change(task, "delete_item", {"item_id": item_id})

    async def wardrobe_page(self, task: TaskContext, page: int, per_page: int = WARDROBE_PAGE) -> Page:
        """Returns one page of what the seller offers and has sold."""
        parameters = {"user_id": self.user_id(task), "page": page, "per_page": per_page}
        return _page(await self._browser.read(task, "list_wardrobe", parameters), "items")

    async def orders_page(self, task: TaskContext, page: int, per_page: int) -> Page:
        """Returns one page of what the seller sold, newest first."""
        parameters = {"page": page, "per_page": per_page}
        return _page(await self._browser.read(task, "list_orders", parameters), "my_orders")

    async def get_transaction(self, task: TaskContext, transaction_id: str) -> Mapping[str, Any]:
        """Returns one sale."""
        answer = await self._browser.read(task, "get_transaction", {"transaction_id": transaction_id})
        return _object(answer, "transaction")


def wardrobe_item(entry: Mapping[str, Any]) -> WardrobeItem | None:
    """Reads an entry of a wardrobe; None for what has no number."""
    item_id = entry.get("id")
    if not isinstance(item_id, int):
        return None
    photos = entry.get("photos")
    ids = [photo.get("id") for photo in photos if isinstance(photo, dict)] if isinstance(photos, list) else []
    return WardrobeItem(
        str(item_id),
        str(entry.get("title") or ""),
        str(entry.get("url") or ""),
        frozenset(str(one) for one in ids if isinstance(one, int)),
        read_money(entry.get("price")),
        bool(entry.get("is_closed")),
        bool(entry.get("is_draft")),
    )


def read_money(value: Any) -> tuple[str, str] | None:
    """Reads {"amount": "12.50", "currency_code": "EUR"}."""
    if not isinstance(value, dict) or not value.get("amount") or not value.get("currency_code"):
        return None
    return str(value["amount"]), str(value["currency_code"])


def _item(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    item = _object(answer, "item")
    _number(item, "id")
    return item


def _object(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = answer.get(name)
    if not isinstance(found, dict):
        raise _unreadable(name)
    return found


def _number(answer: Mapping[str, Any], name: str) -> str:
    found = answer.get(name)
    if not isinstance(found, int):
        raise _unreadable(name)
    return str(found)


def _page(answer: Mapping[str, Any], name: str) -> Page:
    entries, pagination = answer.get(name), answer.get("pagination")
    if not isinstance(entries, list) or not isinstance(pagination, dict):
        raise _unreadable(name)
    pages, total = pagination.get("total_pages"), pagination.get("total_entries")
    if not isinstance(pages, int):
        raise _unreadable("pagination.total_pages")
    return Page(
        [entry for entry in entries if isinstance(entry, dict)],
        pages,
        total if isinstance(total, int) else -1,
    )


def _unreadable(name: str) -> RetryableError:
    return RetryableError(
        f"Vinted's answer lacks {name!r}.", effect=EffectOutcome.UNKNOWN, code="ANSWER_UNREADABLE"
    )
