"""Seeding: what a control call may say about a member, checked whole before anything changes."""

from typing import Any

from stoflow_sandbox.marketplaces.vinted.catalogue import CURRENCIES
from stoflow_sandbox.marketplaces.vinted.state import Member, World

_TYPES: dict[str, tuple[type, ...]] = {
    "login": (str,),
    "password": (str,),
    "user_id": (str,),
    "currency": (str,),
    "session_seconds": (int,),
    "requests_per_minute": (int,),
    "wardrobe_delay_seconds": (int, float),
    "reset": (bool,),
}
REQUIRED = ("login", "password")


class SeedError(ValueError):
    """A seed that cannot be used; `violations` says everything that is wrong with it."""

    def __init__(self, violations: list[str]) -> None:
        super().__init__("; ".join(violations))
        self.violations = violations


def seed_member(world: World, seed: dict[str, Any]) -> Member:
    """Make a member or renew one: items stay unless `reset` is true."""
    if violations := _violations(world, seed):
        raise SeedError(violations)
    member = world.members.get(seed["login"])
    if member is None or seed.get("reset"):
        user_id = seed.get("user_id") or (member.user_id if member else world.ids.next("user"))
        forget_member(world, seed["login"])
        member = world.members[seed["login"]] = Member(user_id, seed["login"], seed["password"])
    for name, value in seed.items():
        if name not in ("login", "reset"):
            setattr(member, name, value)
    return member


def _violations(world: World, seed: dict[str, Any]) -> list[str]:
    violations = [f"{name}: unknown field" for name in sorted(seed.keys() - _TYPES.keys())]
    violations += [f"{name}: required" for name in REQUIRED if not seed.get(name)]
    for name, types in _TYPES.items():
        value = seed.get(name)
        if name not in seed or (value is None and name == "requests_per_minute"):
            continue
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            violations.append(f"{name}: expected {types[-1].__name__}")
    if seed.get("currency", "EUR") not in CURRENCIES:
        violations.append(f"currency: expected one of {', '.join(sorted(CURRENCIES))}")
    user_id = seed.get("user_id")
    if isinstance(user_id, str):
        owner = world.find_member(user_id)
        if not user_id.isdecimal() or (owner is not None and owner.login != seed.get("login")):
            violations.append("user_id: expected digits that no other member has")
    return violations


def forget_member(world: World, login: str) -> None:
    """Remove a member with everything that leads to it, if there is one."""
    world.members.pop(login, None)
    world.drop_sessions(login)


def member_view(member: Member) -> dict[str, Any]:
    return {
        "login": member.login,
        "user_id": member.user_id,
        "currency": member.currency,
        "needs_captcha": member.needs_captcha,
        "requests_per_minute": member.requests_per_minute,
        "wardrobe_delay_seconds": member.wardrobe_delay_seconds,
    }
