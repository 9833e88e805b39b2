"""What the marketplace knows. Plain data: the rules change it, `store` keeps it, nothing here does either."""

from dataclasses import asdict, dataclass, field
from typing import Any

ON_PROPERTY = ("price_on_property", "quantity_on_property", "sku_on_property", "readiness_state_on_property")


@dataclass(slots=True)
class Image:
    """A picture of a shop. It stays after it was taken off its listing, and can be put back by its id."""

    image_id: int
    listing_id: int
    token: str
    digest: str
    media_type: str
    width: int
    height: int
    created_time: float
    alt_text: str = ""


@dataclass(slots=True)
class Listing:
    """A listing. `state` is one of draft, active, inactive, sold_out and expired.

    `products` are those of the inventory, with prices in hundredths of the shop's currency; `image_ids` stand
    in the order in which buyers see them; `fees` counts what publishing and renewing cost.
    """

    listing_id: int
    state: str
    created_time: float
    updated_time: float
    state_time: float
    fields: dict[str, Any]
    products: list[dict[str, Any]]
    on_property: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in ON_PROPERTY})
    image_ids: list[int] = field(default_factory=list)
    properties: dict[str, dict[str, Any]] = field(default_factory=dict)
    ending_time: float | None = None
    fees: int = 0

    @property
    def sku(self) -> str | None:
        """The first SKU of the inventory, for faults, log and counts."""
        return next((product["sku"] for product in self.products if product["sku"]), None)

    @property
    def quantity(self) -> int:
        return sum(one["quantity"] for product in self.products for one in product["offerings"])

    @property
    def price_minor(self) -> int:
        """The lowest price of an enabled offering."""
        offerings = [one for product in self.products for one in product["offerings"]]
        enabled = [one for one in offerings if one["is_enabled"]]
        lowest: int = min(one["price_minor"] for one in enabled or offerings)
        return lowest


@dataclass(slots=True)
class Receipt:
    """An order. A phantom is shown in lists and cannot be read by its id."""

    receipt_id: int
    status: str
    created_time: float
    updated_time: float
    buyer_user_id: int
    transactions: list[dict[str, Any]]
    is_paid: bool = True
    is_phantom: bool = False
    shipments: list[dict[str, Any]] = field(default_factory=list)
    refunds: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Grant:
    """What a refresh token stands for; it dies when it is used."""

    client_id: str
    scopes: list[str]
    expires_time: float


@dataclass(slots=True)
class Seller:
    """One seller with one shop. `created` counts drafts by title, listings by SKU, images by listing.

    `rank_mode` says what becomes of an upload's rank: obeyed; front (it is ignored and the image comes
    first); equal (as obeyed, but every image is shown with rank 1).
    """

    username: str
    client_id: str
    user_id: int
    shop_id: int
    currency: str = "USD"
    country: str = "US"
    access_token_seconds: int = 3600
    refresh_grace_seconds: int = 0
    rank_mode: str = "obeyed"
    grants: dict[str, Grant] = field(default_factory=dict)
    shipping_profiles: list[dict[str, Any]] = field(default_factory=list)
    return_policies: list[dict[str, Any]] = field(default_factory=list)
    readiness_states: list[dict[str, Any]] = field(default_factory=list)
    listings: dict[int, Listing] = field(default_factory=dict)
    images: dict[int, Image] = field(default_factory=dict)
    receipts: dict[int, Receipt] = field(default_factory=dict)
    created: dict[str, dict[str, int]] = field(
        default_factory=lambda: {"drafts": {}, "listings": {}, "images": {}}
    )

    def count_created(self, thing: str, key: str) -> None:
        counts = self.created[thing]
        counts[key] = counts.get(key, 0) + 1


@dataclass(slots=True)
class App:
    """An application: keystring, shared secret, registered redirect addresses, webhook endpoint."""

    client_id: str
    secret: str
    application_id: int
    redirect_uris: list[str] = field(default_factory=list)
    webhook_url: str | None = None
    webhook_secret: str = ""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token of a seller for an application."""

    username: str
    client_id: str
    scopes: frozenset[str]
    expires_time: float


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a code stands for until it is exchanged."""

    username: str
    client_id: str
    scopes: list[str]
    redirect_uri: str
    challenge: str
    expires_time: float


@dataclass(slots=True)
class Ids:
    """Number ranges, each never reused."""

    last: dict[str, int] = field(
        default_factory=lambda: {
            "application": 1_047_000,
            "user": 718_000_000,
            "shop": 41_000_000,
            "listing": 1_702_000_000,
            "image": 5_310_000_000,
            "product": 18_900_000_000,
            "offering": 19_900_000_000,
            "receipt": 3_410_000_000,
            "transaction": 4_310_000_000,
            "setup": 252_000_000,
        }
    )

    def next(self, thing: str) -> int:
        self.last[thing] += 1
        return self.last[thing]


@dataclass(slots=True)
class World:
    """Everything. Access tokens and codes are not kept over a restart; clients refresh."""

    apps: dict[str, App] = field(default_factory=dict)
    sellers: dict[str, Seller] = field(default_factory=dict)
    tokens: dict[str, AccessToken] = field(default_factory=dict)
    codes: dict[str, Authorization] = field(default_factory=dict)
    shop_sellers: dict[int, str] = field(default_factory=dict)
    listing_sellers: dict[int, str] = field(default_factory=dict)
    image_sellers: dict[str, tuple[str, int]] = field(default_factory=dict)
    ids: Ids = field(default_factory=Ids)

    def find_shop(self, shop_id: int) -> Seller | None:
        return self.sellers.get(self.shop_sellers.get(shop_id, ""))

    def find_listing(self, listing_id: int) -> tuple[Seller, Listing] | None:
        seller = self.sellers.get(self.listing_sellers.get(listing_id, ""))
        listing = seller.listings.get(listing_id) if seller is not None else None
        return None if seller is None or listing is None else (seller, listing)

    def find_image(self, token: str) -> Image | None:
        username, image_id = self.image_sellers.get(token, ("", 0))
        seller = self.sellers.get(username)
        return seller.images.get(image_id) if seller is not None else None

    def index(self, seller: Seller) -> None:
        """Enter a seller, and everything that it has now, into the tables that lead to it."""
        self.sellers[seller.username] = seller
        self.shop_sellers[seller.shop_id] = seller.username
        self.listing_sellers.update(dict.fromkeys(seller.listings, seller.username))
        for image in seller.images.values():
            self.image_sellers[image.token] = (seller.username, image.image_id)


def seller_from_json(content: dict[str, Any]) -> Seller:
    """Return a seller as `seller_to_json` wrote it; JSON has made strings of the numbers that were keys."""
    nested = ("grants", "listings", "images", "receipts")
    seller = Seller(**{name: value for name, value in content.items() if name not in nested})
    seller.grants = {token: Grant(**value) for token, value in content["grants"].items()}
    seller.listings = {int(key): Listing(**value) for key, value in content["listings"].items()}
    seller.images = {int(key): Image(**value) for key, value in content["images"].items()}
    seller.receipts = {int(key): Receipt(**value) for key, value in content["receipts"].items()}
    return seller


def seller_to_json(seller: Seller) -> dict[str, Any]:
    return asdict(seller)
