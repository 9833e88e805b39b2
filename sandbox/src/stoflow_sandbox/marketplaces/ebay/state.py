"""What the marketplace knows. Plain data: the rules change it, `store` keeps it, nothing here does either."""

import secrets
from dataclasses import asdict, dataclass, field
from typing import Any

POLICY_KINDS = ("fulfillment", "payment", "return")
OfferKey = tuple[str, str, str]


@dataclass(slots=True)
class Image:
    """A picture on the picture server; `expires_time` counts only while no live listing shows it."""

    image_id: str
    token: str
    digest: str
    media_type: str
    expires_time: float
    # Of those kept by an earlier sandbox the size was not noted.
    longest_side: int = 1600


@dataclass(slots=True)
class Item:
    """An inventory item record: what the seller sent last, and in which language."""

    locale: str
    fields: dict[str, Any]


@dataclass(slots=True)
class Offer:
    """An offer of one SKU on one site; `listing_id` is set while it is published."""

    offer_id: str
    sku: str
    marketplace_id: str
    format: str
    fields: dict[str, Any]
    listing_id: str | None = None

    @property
    def key(self) -> OfferKey:
        return (self.sku, self.marketplace_id, self.format)

    @property
    def is_published(self) -> bool:
        return self.listing_id is not None


@dataclass(slots=True)
class Listing:
    """What buyers see. `status` is one of ACTIVE, OUT_OF_STOCK and ENDED."""

    listing_id: str
    offer_id: str
    sku: str
    marketplace_id: str
    status: str
    start_time: float
    shown: dict[str, Any]
    end_time: float | None = None
    revisions: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Order:
    """What one buyer bought of one seller. `lines` are what the API shows of each, but for states; `cancellation`
    is None or the one request there was.
    """

    order_id: str
    buyer: str
    marketplace_id: str
    currency: str
    creation_time: float
    modified_time: float
    lines: list[dict[str, Any]]
    payment: str = "PAID"
    fulfillment: str = "NOT_STARTED"
    cancellation: dict[str, Any] | None = None


@dataclass(slots=True)
class Seller:
    """One seller, isolated from every other. `created` counts offers and listings ever made, by SKU."""

    username: str
    client_id: str
    refresh_tokens: dict[str, list[str]] = field(default_factory=dict)
    access_token_seconds: int = 7200
    media_posts_per_5_seconds: int | None = None
    registration_completed: bool = True
    selling_limit: dict[str, Any] | None = None
    programs: list[str] = field(default_factory=list)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    locations: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    offers: dict[str, Offer] = field(default_factory=dict)
    listings: dict[str, Listing] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    user_id: str = field(default_factory=lambda: secrets.token_hex(8))
    created: dict[str, dict[str, int]] = field(default_factory=lambda: {"offers": {}, "listings": {}})
    offer_ids: dict[OfferKey, str] = field(default_factory=dict)
    sku_offers: dict[str, list[str]] = field(default_factory=dict)
    image_tokens: dict[str, str] = field(default_factory=dict)
    media_post_times: list[float] = field(default_factory=list)

    def add_offer(self, offer: Offer) -> None:
        self.offers[offer.offer_id] = offer
        self.offer_ids[offer.key] = offer.offer_id
        self.sku_offers.setdefault(offer.sku, []).append(offer.offer_id)

    def remove_offer(self, offer: Offer) -> None:
        del self.offers[offer.offer_id]
        del self.offer_ids[offer.key]
        self.sku_offers[offer.sku].remove(offer.offer_id)

    def offers_of(self, sku: str) -> list[Offer]:
        return [self.offers[offer_id] for offer_id in self.sku_offers.get(sku, ())]

    def add_image(self, image: Image) -> None:
        self.images[image.image_id] = image
        self.image_tokens[image.token] = image.image_id

    def count_created(self, thing: str, sku: str) -> None:
        counts = self.created[thing]
        counts[sku] = counts.get(sku, 0) + 1


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token; `username` None marks an application's own."""

    username: str | None
    scopes: frozenset[str]
    expires_time: float
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """What a seller's consent gave; `redirect_uri` None fits any."""

    username: str
    scopes: list[str]
    redirect_uri: str | None
    expires_time: float


@dataclass(slots=True)
class Ids:
    """Number ranges, each never reused."""

    last: dict[str, int] = field(
        default_factory=lambda: {
            "offer": 104_682_640_000,
            "listing": 110_555_000_000,
            "policy": 6_197_000_000,
            "order": 3_456_789_000,
            "order line": 10_066_550_000_000,
            "cancellation": 5_000_000_000,
        }
    )

    def next(self, thing: str) -> str:
        self.last[thing] += 1
        return str(self.last[thing])


@dataclass(slots=True)
class World:
    """Everything: applications, sellers and tokens. Tokens are not kept over a restart; clients refresh."""

    clients: dict[str, str] = field(default_factory=dict)
    sellers: dict[str, Seller] = field(default_factory=dict)
    tokens: dict[str, AccessToken] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    # What applications have registered under a RuName: where eBay sends sellers after their consent.
    redirects: dict[str, str] = field(default_factory=dict)
    listing_sellers: dict[str, str] = field(default_factory=dict)
    image_sellers: dict[str, str] = field(default_factory=dict)
    ids: Ids = field(default_factory=Ids)

    def find_listing(self, listing_id: str) -> tuple[Seller, Listing] | None:
        username = self.listing_sellers.get(listing_id)
        if username is None or username not in self.sellers:
            return None
        seller = self.sellers[username]
        return seller, seller.listings[listing_id]

    def find_image(self, token: str) -> Image | None:
        seller = self.sellers.get(self.image_sellers.get(token, ""))
        return None if seller is None else seller.images[seller.image_tokens[token]]

    def index(self, seller: Seller) -> None:
        """Enter a seller read from a file into the tables that lead to it."""
        self.sellers[seller.username] = seller
        self.listing_sellers.update(dict.fromkeys(seller.listings, seller.username))
        self.image_sellers.update(dict.fromkeys(seller.image_tokens, seller.username))


DERIVED = ("offer_ids", "sku_offers", "image_tokens", "media_post_times")


def seller_to_json(seller: Seller) -> dict[str, Any]:
    """Return a seller as JSON without the tables that can be derived."""
    content = asdict(seller)
    for name in DERIVED:
        del content[name]
    return content


def seller_from_json(content: dict[str, Any]) -> Seller:
    plain = {
        name: value
        for name, value in content.items()
        if name not in ("items", "offers", "listings", "images", "orders")
    }
    seller = Seller(**plain)
    seller.items = {sku: Item(**value) for sku, value in content["items"].items()}
    seller.listings = {listing_id: Listing(**value) for listing_id, value in content["listings"].items()}
    # Files written before there were orders have none.
    seller.orders = {order_id: Order(**value) for order_id, value in content.get("orders", {}).items()}
    for value in content["offers"].values():
        seller.add_offer(Offer(**value))
    for value in content["images"].values():
        seller.add_image(Image(**value))
    return seller
