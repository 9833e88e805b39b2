"""The token endpoint and the check of bearer tokens.

Refresh tokens are not rotated: one lives about 18 months and may be used again and again.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass

from stoflow_sandbox.marketplaces.ebay.errors import ebay_error, refuse
from stoflow_sandbox.marketplaces.ebay.state import AccessToken, World
from stoflow_sandbox.marketplaces.exchange import Call, Effect, Reply

SCOPE = "https://api.ebay.com/oauth/api_scope"
PUBLIC = frozenset({SCOPE})
INVENTORY = frozenset({f"{SCOPE}/sell.inventory"})
INVENTORY_READ = INVENTORY | {f"{SCOPE}/sell.inventory.readonly"}
ACCOUNT = frozenset({f"{SCOPE}/sell.account"})
ACCOUNT_READ = ACCOUNT | {f"{SCOPE}/sell.account.readonly"}
FULFILLMENT_READ = frozenset({f"{SCOPE}/sell.fulfillment", f"{SCOPE}/sell.fulfillment.readonly"})
IDENTITY = frozenset({f"{SCOPE}/commerce.identity.readonly"})
METADATA = PUBLIC | INVENTORY
ASPECTS = PUBLIC | {f"{SCOPE}/metadata.insights"}

USER_SCOPES = [
    SCOPE,
    *(
        f"{SCOPE}/{name}"
        for name in (
            "sell.inventory",
            "sell.inventory.readonly",
            "sell.fulfillment",
            "sell.fulfillment.readonly",
            "sell.account",
            "sell.account.readonly",
            "commerce.identity.readonly",
            "commerce.notification.subscription",
        )
    ),
]
# "expires_in" beside the code at the redirect address.
CODE_SECONDS = 299
REFRESH_TOKEN_SECONDS = 47_304_000
APPLICATION_TOKEN_SECONDS = 7_200


@dataclass(frozen=True, slots=True)
class _Grant:
    username: str | None
    scopes: frozenset[str]
    lifetime_seconds: int
    refresh_token: str | None = None


class _GrantError(Exception):
    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(code)
        self.reply = Reply(status, {"error": code, "error_description": description})


def issue_token(world: World, call: Call, now: float) -> Reply:
    """Answer POST /identity/v1/oauth2/token, in OAuth's own error shape."""
    try:
        client_id = _authenticate(world, call)
        grant = _grant(world, client_id, call.form, now)
    except _GrantError as error:
        return error.reply
    token = f"v^1.1#i^1#{secrets.token_urlsafe(48)}"
    expires = now + grant.lifetime_seconds
    world.tokens[token] = AccessToken(grant.username, grant.scopes, expires, client_id)
    content = {
        "access_token": token,
        "expires_in": grant.lifetime_seconds,
        "token_type": "Application Access Token" if grant.username is None else "User Access Token",
    }
    if grant.refresh_token is not None:
        content |= {"refresh_token": grant.refresh_token, "refresh_token_expires_in": REFRESH_TOKEN_SECONDS}
    effect = Effect("token.created", grant.username or client_id)
    return Reply(200, content, {"Cache-Control": "no-store"}, [effect])


def _authenticate(world: World, call: Call) -> str:
    refused = _GrantError(401, "invalid_client", "client authentication failed")
    scheme, _, encoded = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise refused
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise refused from None
    known = world.clients.get(client_id)
    if known is None or not secrets.compare_digest(known, secret):
        raise refused
    return client_id


def _grant(world: World, client_id: str, form: dict[str, str], now: float) -> _Grant:
    scopes = form.get("scope", "").split()
    match form.get("grant_type"):
        case "refresh_token":
            return _refresh(world, client_id, form.get("refresh_token", ""), scopes)
        case "authorization_code":
            return _exchange(world, client_id, form, now)
        case "client_credentials":
            # Applications may only have the public scope.
            if not scopes or set(scopes) - PUBLIC:
                raise _invalid_scope()
            return _Grant(None, frozenset(scopes), APPLICATION_TOKEN_SECONDS)
        case None:
            raise _GrantError(400, "invalid_request", "request is missing a required parameter or malformed.")
        case _:
            description = "grant type in request is not supported by the authorization server"
            raise _GrantError(400, "unsupported_grant_type", description)


def _refresh(world: World, client_id: str, refresh_token: str, scopes: list[str]) -> _Grant:
    for seller in world.sellers.values():
        consented = seller.refresh_tokens.get(refresh_token)
        if consented is None or seller.client_id != client_id:
            continue
        if set(scopes) - set(consented):
            raise _invalid_scope()
        return _Grant(seller.username, frozenset(scopes or consented), seller.access_token_seconds)
    description = "the provided authorization refresh token is invalid or was issued to another client"
    raise _GrantError(400, "invalid_grant", description)


def _exchange(world: World, client_id: str, form: dict[str, str], now: float) -> _Grant:
    code = form.get("code", "")
    found = world.codes.get(code)
    seller = None if found is None else world.sellers.get(found.username)
    is_good = (
        found is not None
        and found.expires_time > now
        and found.redirect_uri in (None, form.get("redirect_uri"))
    )
    if found is None or seller is None or not is_good or seller.client_id != client_id:
        description = "the provided authorization grant code is invalid or was issued to another client"
        raise _GrantError(400, "invalid_grant", description)
    del world.codes[code]
    refresh_token = f"v^1.1#r^1#{secrets.token_urlsafe(32)}"
    seller.refresh_tokens[refresh_token] = found.scopes
    return _Grant(seller.username, frozenset(found.scopes), seller.access_token_seconds, refresh_token)


def _invalid_scope() -> _GrantError:
    description = (
        "The requested scope is invalid, unknown, malformed, or exceeds the scope granted to the client"
    )
    return _GrantError(400, "invalid_scope", description)


def find_token(world: World, call: Call) -> AccessToken | None:
    """Return the bearer token of a call, even when it has expired."""
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    return world.tokens.get(token.strip()) if scheme.lower() == "bearer" else None


def refuse_token(token: AccessToken | None, scopes: frozenset[str], now: float, path: str) -> Reply | None:
    """Return 401 for a token that is absent, unknown or expired, 403 for one without any of the scopes."""
    if token is None or token.expires_time <= now:
        return refuse(401, ebay_error(1001))
    if not token.scopes & scopes:
        return refuse(403, ebay_error(190013 if path.startswith("/commerce/media/") else 1100))
    return None
