"""Seeding: what a control call may say about a seller, checked whole before anything changes."""

import secrets
from typing import Any

from stoflow_sandbox.marketplaces.ebay.account import PROGRAMS, add_default_policies, make_policy
from stoflow_sandbox.marketplaces.ebay.catalogue import SITES
from stoflow_sandbox.marketplaces.ebay.locations import make_location
from stoflow_sandbox.marketplaces.ebay.oauth import USER_SCOPES
from stoflow_sandbox.marketplaces.ebay.shapes import MapOf, conform, one_of
from stoflow_sandbox.marketplaces.ebay.state import POLICY_KINDS, Seller, World

SEED: dict[str, Any] = {
    "username": str,
    "user_id": str,
    "client_id": str,
    "client_secret": str,
    "refresh_token": str,
    "scopes": [str],
    "marketplaces": [one_of(*SITES)],
    "policies": [{"kind": one_of(*POLICY_KINDS), "id": str, "marketplace_id": one_of(*SITES), "name": str}],
    "locations": [{"key": str, "country": str, "postal_code": str, "city": str, "enabled": bool}],
    "programs": [one_of(*PROGRAMS)],
    "registration_completed": bool,
    "selling_limit": {"quantity": int, "amount": MapOf(str)},
    "access_token_seconds": int,
    "media_posts_per_5_seconds": int,
    "reset": bool,
}
REQUIRED = ("username", "client_id", "client_secret")


class SeedError(ValueError):
    """A seed that cannot be used; `violations` says everything that is wrong with it."""

    def __init__(self, violations: list[str]) -> None:
        super().__init__("; ".join(violations))
        self.violations = violations


def seed_seller(world: World, body: dict[str, Any]) -> Seller:
    """Make a seller or renew one: listings stay unless `reset` is true. Policies, locations and programs
    default.
    """
    seed, problems = conform(body, SEED)
    violations = [parameter["value"] for problem in problems for parameter in problem["parameters"]]
    violations += [f"{name}: unknown field" for name in sorted(body.keys() - SEED.keys())]
    violations += [f"{name}: required" for name in REQUIRED if not seed.get(name)]
    known = world.clients.get(seed.get("client_id", ""))
    if known is not None and known != seed.get("client_secret"):
        violations.append("client_secret: this client_id was seeded with another")
    if violations:
        raise SeedError(violations)
    world.clients[seed["client_id"]] = seed["client_secret"]
    seller = world.sellers.get(seed["username"])
    if seller is None or seed.get("reset"):
        forget_seller(world, seed["username"])
        seller = Seller(seed["username"], seed["client_id"])
        world.sellers[seller.username] = seller
    _settle(world, seller, seed)
    return seller


def _settle(world: World, seller: Seller, seed: dict[str, Any]) -> None:
    seller.client_id = seed["client_id"]
    for name in (
        "user_id",
        "registration_completed",
        "selling_limit",
        "access_token_seconds",
        "media_posts_per_5_seconds",
    ):
        if name in seed:
            setattr(seller, name, seed[name])
    if "refresh_token" in seed or not seller.refresh_tokens:
        token = seed.get("refresh_token") or f"v^1.1#r^1#{secrets.token_urlsafe(32)}"
        seller.refresh_tokens[token] = seed.get("scopes", USER_SCOPES)
    if "programs" in seed or not seller.programs:
        seller.programs = list(seed.get("programs", ["SELLING_POLICY_MANAGEMENT"]))
    if "policies" in seed:
        seller.policies = {
            one["id"]: make_policy(one["kind"], one["marketplace_id"], one.get("name", one["id"]), one["id"])
            for one in seed["policies"]
        }
    else:
        for marketplace_id in seed.get("marketplaces", SITES):
            add_default_policies(seller, marketplace_id, world.ids)
    if "locations" in seed or not seller.locations:
        _place(seller, seed.get("locations", [{"key": "main", "country": "US", "postal_code": "95125"}]))


def _place(seller: Seller, locations: list[dict[str, Any]]) -> None:
    seller.locations = {}
    for number, one in enumerate(locations, start=1):
        address = {"country": one.get("country", "US"), "postalCode": one.get("postal_code", "95125")}
        if "city" in one:
            address["city"] = one["city"]
        status = "ENABLED" if one.get("enabled", True) else "DISABLED"
        fields = {"location": {"address": address}, "merchantLocationStatus": status}
        seller.locations[one["key"]] = make_location(fields, number)


def forget_seller(world: World, username: str) -> None:
    """Remove a seller with everything that leads to it, if there is one."""
    if world.sellers.pop(username, None) is None:
        return
    world.tokens = {key: token for key, token in world.tokens.items() if token.username != username}
    world.codes = {code: owner for code, owner in world.codes.items() if owner.username != username}
    for table in (world.listing_sellers, world.image_sellers):
        for key in [key for key, owner in table.items() if owner == username]:
            del table[key]


def seller_view(seller: Seller) -> dict[str, Any]:
    """Return what a client needs to act for this seller, policies by site."""
    policies: dict[str, dict[str, str]] = {}
    for policy in seller.policies.values():
        site = policies.setdefault(policy["marketplaceId"], {})
        site.setdefault(f"{policy['kind']}PolicyId", policy["policyId"])
    return {
        "username": seller.username,
        "user_id": seller.user_id,
        "client_id": seller.client_id,
        "refresh_token": next(reversed(seller.refresh_tokens), None),
        "scopes": next(reversed(seller.refresh_tokens.values()), []),
        "policies": policies,
        "locations": list(seller.locations),
        "programs": seller.programs,
        "access_token_seconds": seller.access_token_seconds,
    }
