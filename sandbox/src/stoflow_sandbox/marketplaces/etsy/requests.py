"""A call whose application, token, shop and listing are in order, as the rules see it."""

from dataclasses import dataclass

from stoflow_sandbox.marketplaces.etsy.context import Context
from stoflow_sandbox.marketplaces.etsy.errors import not_found, refuse
from stoflow_sandbox.marketplaces.etsy.paging import read_array
from stoflow_sandbox.marketplaces.etsy.state import AccessToken, App, Listing, Seller, World
from stoflow_sandbox.marketplaces.etsy.views import ASSOCIATIONS
from stoflow_sandbox.marketplaces.exchange import Call, Reply


class RefusedError(Exception):
    """A call that cannot be obeyed; carries the answer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply.content))
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `caller` is the seller whose token it bears; calls with the key alone have none."""

    call: Call
    path: dict[str, str]
    world: World
    app: App
    token: AccessToken | None
    context: Context

    def number(self, name: str) -> int:
        """Return a number of the path; raises RefusedError when it is none."""
        text = self.path[name]
        if not text.isdecimal() or int(text) < 1:
            raise RefusedError(refuse(400, f"Invalid value for {name}: expected a positive integer."))
        return int(text)

    @property
    def caller(self) -> Seller:
        seller = self.world.sellers.get(self.token.username) if self.token is not None else None
        if seller is None:
            raise RefusedError(refuse(401, "A valid access token is required."))
        return seller

    @property
    def own_shop(self) -> Seller:
        """The shop of the path, which must be the caller's."""
        seller = self.shop
        if seller is not self.caller:
            raise RefusedError(refuse(403, "User does not have access to this shop."))
        return seller

    @property
    def shop(self) -> Seller:
        shop_id = self.number("shop_id")
        seller = self.world.find_shop(shop_id)
        if seller is None:
            raise RefusedError(not_found("shop", shop_id))
        return seller

    @property
    def own_listing(self) -> Listing:
        """The listing of the path, which must be the caller's, and of the path's shop when it names one."""
        seller = self.own_shop if "shop_id" in self.path else self.caller
        listing_id = self.number("listing_id")
        found = self.world.find_listing(listing_id)
        if found is None:
            raise RefusedError(not_found("listing", listing_id))
        if found[0] is not seller:
            raise RefusedError(refuse(403, "User does not have access to this listing."))
        return found[1]

    @property
    def visible_listing(self) -> tuple[Seller, Listing]:
        """The listing of the path with its shop. What is not active is there for its seller only."""
        listing_id = self.number("listing_id")
        found = self.world.find_listing(listing_id)
        if found is None or not self.may_see(*found):
            raise RefusedError(not_found("listing", listing_id))
        return found

    def may_see(self, seller: Seller, listing: Listing) -> bool:
        is_own = self.token is not None and self.token.username == seller.username
        return is_own or listing.state in ("active", "sold_out")

    @property
    def includes(self) -> list[str]:
        includes = read_array(self.call, "includes")
        if unknown := [one for one in includes if one not in ASSOCIATIONS]:
            raise RefusedError(refuse(400, f"Invalid value for includes: {', '.join(unknown)}."))
        return includes

    def refuse_if(self, violations: list[str]) -> None:
        if violations:
            raise RefusedError(refuse(400, *violations))
