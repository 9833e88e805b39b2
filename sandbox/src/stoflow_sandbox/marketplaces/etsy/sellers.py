"""Seeding: what a control call may say about a seller and its application, checked before anything changes."""

from typing import Any

from stoflow_sandbox.marketplaces.etsy.images import RANK_MODES
from stoflow_sandbox.marketplaces.etsy.oauth import SCOPES, USER_SCOPES, add_grant
from stoflow_sandbox.marketplaces.etsy.shop_setup import set_up_shop
from stoflow_sandbox.marketplaces.etsy.state import App, Seller, World
from stoflow_sandbox.marketplaces.etsy.webhooks import new_secret, secret_violations

SEED: dict[str, tuple[type, str]] = {
    "username": (str, "a string"),
    "client_id": (str, "a string"),
    "client_secret": (str, "a string"),
    "refresh_token": (str, "a string"),
    "scopes": (list, "an array of strings"),
    "currency": (str, "a currency code"),
    "country": (str, "a country code"),
    "access_token_seconds": (int, "an integer"),
    "refresh_grace_seconds": (int, "an integer"),
    "rank_mode": (str, f"one of {', '.join(RANK_MODES)}"),
    "redirect_uris": (list, "an array of strings"),
    "webhook_url": (str, "an address"),
    "webhook_secret": (str, "whsec_ and base64"),
    "is_connected": (bool, "true or false"),
    "reset": (bool, "true or false"),
}
REQUIRED = ("username", "client_id", "client_secret")
_SETTLED = (
    "client_id", "currency", "country", "access_token_seconds", "refresh_grace_seconds", "rank_mode",
)  # fmt: skip


class SeedError(ValueError):
    """A seed that cannot be used; `violations` says everything that is wrong with it."""

    def __init__(self, violations: list[str]) -> None:
        super().__init__("; ".join(violations))
        self.violations = violations


def seed_seller(world: World, seed: dict[str, Any], now: float) -> Seller:
    """Make a seller with a shop or renew one: listings stay unless `reset` is true.

    A seller has a refresh token unless `is_connected` is false: then it connects by the consent page.
    """
    if violations := _violations(world, seed):
        raise SeedError(violations)
    app = world.apps.get(seed["client_id"])
    if app is None:
        app = App(seed["client_id"], seed["client_secret"], world.ids.next("application"))
        world.apps[app.client_id] = app
    for name in ("redirect_uris", "webhook_url", "webhook_secret"):
        if name in seed:
            setattr(app, name, seed[name])
    app.webhook_secret = app.webhook_secret or new_secret()
    seller = world.sellers.get(seed["username"])
    if seller is None or seed.get("reset"):
        forget_seller(world, seed["username"])
        seller = Seller(seed["username"], app.client_id, world.ids.next("user"), world.ids.next("shop"))
        world.index(seller)
    for name in _SETTLED:
        if name in seed:
            setattr(seller, name, seed[name])
    set_up_shop(seller, world.ids)
    if "refresh_token" in seed or (not seller.grants and seed.get("is_connected", True)):
        add_grant(seller, app.client_id, seed.get("scopes", USER_SCOPES), now, seed.get("refresh_token"))
    return seller


def _violations(world: World, seed: dict[str, Any]) -> list[str]:
    violations = [f"{name}: unknown field" for name in sorted(seed.keys() - SEED.keys())]
    for name, (kind, expected) in SEED.items():
        if name in seed and type(seed[name]) is not kind:
            violations.append(f"{name}: expected {expected}")
    violations += [f"{name}: required" for name in REQUIRED if not seed.get(name)]
    if violations:
        return violations
    if seed.get("rank_mode", "obeyed") not in RANK_MODES:
        violations.append(f"rank_mode: expected {SEED['rank_mode'][1]}")
    violations += [f"scopes: unknown {one}" for one in seed.get("scopes", []) if one not in SCOPES]
    violations += secret_violations(seed.get("webhook_secret", ""))
    known = world.apps.get(seed["client_id"])
    if known is not None and known.secret != seed["client_secret"]:
        violations.append("client_secret: this client_id was seeded with another")
    return violations


def forget_seller(world: World, username: str) -> None:
    """Remove a seller with everything that leads to it, if there is one."""
    seller = world.sellers.pop(username, None)
    if seller is None:
        return
    revoke_access(world, seller)
    del world.shop_sellers[seller.shop_id]
    world.listing_sellers = {key: owner for key, owner in world.listing_sellers.items() if owner != username}
    world.image_sellers = {key: owner for key, owner in world.image_sellers.items() if owner[0] != username}


def revoke_access(world: World, seller: Seller) -> None:
    """Withdraw every grant: no token of the seller works any more, as after a change of password."""
    seller.grants.clear()
    world.codes = {code: one for code, one in world.codes.items() if one.username != seller.username}
    drop_access_tokens(world, seller)


def drop_access_tokens(world: World, seller: Seller) -> None:
    world.tokens = {key: one for key, one in world.tokens.items() if one.username != seller.username}


def seller_view(world: World, seller: Seller) -> dict[str, Any]:
    """Return what a client needs to act for this seller."""
    return {
        "username": seller.username,
        "client_id": seller.client_id,
        "user_id": seller.user_id,
        "shop_id": seller.shop_id,
        "currency": seller.currency,
        "refresh_token": next(reversed(seller.grants), None),
        "scopes": next((grant.scopes for grant in reversed(seller.grants.values())), []),
        "access_token_seconds": seller.access_token_seconds,
        "refresh_grace_seconds": seller.refresh_grace_seconds,
        "rank_mode": seller.rank_mode,
        "shipping_profile_ids": [one["shipping_profile_id"] for one in seller.shipping_profiles],
        "return_policy_ids": [one["return_policy_id"] for one in seller.return_policies],
        "readiness_state_ids": [one["readiness_state_id"] for one in seller.readiness_states],
        "webhook_secret": world.apps[seller.client_id].webhook_secret,
    }
