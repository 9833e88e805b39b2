"""What the site knows. Plain data: the rules change it, `store` keeps it, nothing here does either."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Photo:
    """An uploaded photo; `item_id` is set once an item shows it."""

    photo_id: str
    temp_uuid: str
    digest: str
    media_type: str
    width: int
    height: int
    created_time: float
    item_id: str | None = None


@dataclass(slots=True)
class Item:
    """One article in a wardrobe. `fields` is what the member sent; `is_closed` means sold."""

    item_id: str
    fields: dict[str, Any]
    photo_ids: list[str]
    created_time: float
    updated_time: float
    is_closed: bool = False

    @property
    def title(self) -> str:
        title: str = self.fields["title"]
        return title


@dataclass(slots=True)
class Sale:
    """One sold item; the transaction's and the shipment's numbers are those of the site."""

    transaction_id: str
    shipment_id: str
    item_id: str
    title: str
    price: str
    currency: str
    buyer: str
    sold_time: float
    status: str = "Payment successful"
    status_code: int = 230


@dataclass(slots=True)
class Member:
    """One member, isolated from every other. `created` counts items ever made, by title."""

    user_id: str
    login: str
    password: str
    currency: str = "EUR"
    session_seconds: int = 86_400
    requests_per_minute: int | None = None
    wardrobe_delay_seconds: float = 0.0
    needs_captcha: bool = False
    items: dict[str, Item] = field(default_factory=dict)
    photos: dict[str, Photo] = field(default_factory=dict)
    sales: dict[str, Sale] = field(default_factory=dict)
    deleted: dict[str, str] = field(default_factory=dict)
    created: dict[str, int] = field(default_factory=dict)
    request_times: list[float] = field(default_factory=list)

    def find_sale_of_shipment(self, shipment_id: str) -> Sale | None:
        return next((sale for sale in self.sales.values() if sale.shipment_id == shipment_id), None)


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser: its cookie is the key, its CSRF token stands in every page."""

    login: str
    csrf_token: str
    expires_time: float


@dataclass(slots=True)
class Ids:
    """Number ranges, each never reused."""

    last: dict[str, int] = field(
        default_factory=lambda: {
            "user": 30_000_000,
            "item": 5_200_000_000,
            "photo": 21_000_000_000,
            "transaction": 9_400_000_000,
            "shipment": 8_100_000_000,
        }
    )

    def next(self, thing: str) -> str:
        self.last[thing] += 1
        return str(self.last[thing])


@dataclass(slots=True)
class World:
    """Everything. Sessions are not kept over a restart; members sign in again."""

    members: dict[str, Member] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    ids: Ids = field(default_factory=Ids)

    def find_member(self, user_id: str) -> Member | None:
        return next((member for member in self.members.values() if member.user_id == user_id), None)

    def find_item(self, item_id: str) -> tuple[Member, Item] | None:
        for member in self.members.values():
            if item_id in member.items:
                return member, member.items[item_id]
        return None

    def find_photo(self, photo_id: str) -> Photo | None:
        return next((one.photos[photo_id] for one in self.members.values() if photo_id in one.photos), None)

    def drop_sessions(self, login: str) -> None:
        for key in list(self._sessions_of(login)):
            del self.sessions[key]

    def _sessions_of(self, login: str) -> Iterator[str]:
        return (key for key, session in self.sessions.items() if session.login == login)


def member_to_json(member: Member) -> dict[str, Any]:
    """Returns a member as JSON without what only counts for a minute."""
    content = asdict(member)
    del content["request_times"]
    return content


def member_from_json(content: dict[str, Any]) -> Member:
    member = Member(**{name: value for name, value in content.items() if name not in _TABLES})
    member.items = {key: Item(**value) for key, value in content["items"].items()}
    member.photos = {key: Photo(**value) for key, value in content["photos"].items()}
    member.sales = {key: Sale(**value) for key, value in content["sales"].items()}
    return member


_TABLES = ("items", "photos", "sales")
