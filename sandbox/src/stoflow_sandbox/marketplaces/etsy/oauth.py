"""The token endpoint, and the checks of API key, bearer token and scope.

A refresh token dies when it is used and the answer carries the next one: a client that loses the answer has
lost the grant, unless the seller was seeded with `refresh_grace_seconds`.
"""

import base64
import hashlib
import secrets

from stoflow_sandbox.marketplaces.etsy.errors import refuse, refuse_oauth
from stoflow_sandbox.marketplaces.etsy.state import AccessToken, App, Grant, Seller, World
from stoflow_sandbox.marketplaces.exchange import Call, Effect, Reply

# From the security scheme of the official document.
SCOPES = frozenset(
    {
        "address_r", "address_w", "billing_r", "cart_r", "cart_w", "email_r", "favorites_r", "favorites_w",
        "feedback_r", "listings_d", "listings_r", "listings_w", "profile_r", "profile_w", "recommend_r",
        "recommend_w", "shops_r", "shops_w", "transactions_r", "transactions_w",
    }
)  # fmt: skip
USER_SCOPES = ["listings_r", "listings_w", "listings_d", "transactions_r", "transactions_w", "shops_r"]
REFRESH_TOKEN_SECONDS = 90 * 24 * 3600


class _GrantError(Exception):
    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(code)
        self.reply = refuse_oauth(status, code, description)


def issue_token(world: World, call: Call, now: float) -> Reply:
    """Answer POST /v3/public/oauth/token, in OAuth's own error shape."""
    form = call.form or (call.json if isinstance(call.json, dict) else {})
    try:
        if form.get("client_id") not in world.apps:
            raise _GrantError("invalid_client", "client_id is not a known keystring", 401)
        match form.get("grant_type"):
            case "authorization_code":
                seller, scopes = _exchange(world, form, now)
            case "refresh_token":
                seller, scopes = _refresh(world, form, now)
            case None:
                raise _GrantError("invalid_request", "grant_type is required")
            case other:
                raise _GrantError("unsupported_grant_type", f"grant_type {other} is not supported")
    except _GrantError as error:
        return error.reply
    return _grant(world, seller, form["client_id"], scopes, now)


def _grant(world: World, seller: Seller, client_id: str, scopes: list[str], now: float) -> Reply:
    access_token = f"{seller.user_id}.{secrets.token_urlsafe(48)}"
    expires = now + seller.access_token_seconds
    world.tokens[access_token] = AccessToken(seller.username, client_id, frozenset(scopes), expires)
    refresh_token = add_grant(seller, client_id, scopes, now)
    content = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": seller.access_token_seconds,
        "refresh_token": refresh_token,
    }
    return Reply(200, content, {"Cache-Control": "no-store"}, [Effect("token.created", seller.username)])


def add_grant(
    seller: Seller, client_id: str, scopes: list[str], now: float, refresh_token: str | None = None
) -> str:
    token = refresh_token or f"{seller.user_id}.{secrets.token_urlsafe(64)}"
    seller.grants[token] = Grant(client_id, scopes, now + REFRESH_TOKEN_SECONDS)
    return token


def _exchange(world: World, form: dict[str, str], now: float) -> tuple[Seller, list[str]]:
    missing = [name for name in ("code", "redirect_uri", "code_verifier") if not form.get(name)]
    if missing:
        raise _GrantError("invalid_request", f"{', '.join(missing)} required")
    # A code works once, whatever becomes of this attempt.
    authorization = world.codes.pop(form["code"], None)
    seller = world.sellers.get(authorization.username) if authorization is not None else None
    if authorization is None or seller is None or authorization.expires_time <= now:
        raise _GrantError("invalid_grant", "code is unknown, used or expired")
    if authorization.client_id != form["client_id"]:
        raise _GrantError("invalid_grant", "code was issued to another client_id")
    if authorization.redirect_uri != form["redirect_uri"]:
        raise _GrantError("invalid_grant", "redirect_uri is not the one of the authorization request")
    if not secrets.compare_digest(code_challenge(form["code_verifier"]), authorization.challenge):
        raise _GrantError("invalid_grant", "code_verifier does not match the code_challenge")
    return seller, authorization.scopes


def _refresh(world: World, form: dict[str, str], now: float) -> tuple[Seller, list[str]]:
    presented = form.get("refresh_token")
    if not presented:
        raise _GrantError("invalid_request", "refresh_token required")
    for seller in world.sellers.values():
        grant = seller.grants.get(presented)
        if grant is None or grant.client_id != form["client_id"] or grant.expires_time <= now:
            continue
        if seller.refresh_grace_seconds:
            grant.expires_time = min(grant.expires_time, now + seller.refresh_grace_seconds)
        else:
            del seller.grants[presented]
        return seller, grant.scopes
    raise _GrantError("invalid_grant", "The refresh token is invalid, was used before, or has expired.")


def code_challenge(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def find_token(world: World, call: Call) -> AccessToken | None:
    """Return the bearer token of a call, even when it has expired. The user's number is a part of it."""
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    return world.tokens.get(token.strip()) if scheme.lower() == "bearer" else None


def find_app(world: World, call: Call) -> App | Reply:
    """Return the application whose keystring and shared secret the call presents, or the refusal."""
    presented = call.headers.get("x-api-key", "")
    if not presented:
        return refuse(403, "Invalid API key: should be in the format 'keystring:shared_secret'.")
    keystring, _, shared_secret = presented.partition(":")
    if not shared_secret:
        return refuse(403, "Shared secret is required in x-api-key header.")
    app = world.apps.get(keystring)
    if app is None or not secrets.compare_digest(app.secret.encode(), shared_secret.encode()):
        return refuse(403, "API key not found or not active, or incorrect shared secret for API key.")
    return app


def refuse_token(token: AccessToken | None, app: App, scopes: frozenset[str], now: float) -> Reply | None:
    """Return 401 for a token that is absent, unknown, expired or another app's, 403 for a missing scope."""
    if token is None:
        return refuse_oauth(401, "invalid_token", "a valid access token is required")
    if token.expires_time <= now:
        return refuse_oauth(401, "invalid_token", "access token is expired")
    if token.client_id != app.client_id:
        return refuse_oauth(401, "invalid_token", "access token belongs to another application")
    if missing := sorted(scopes - token.scopes):
        return refuse_oauth(403, "insufficient_scope", f"access token lacks the scope {' '.join(missing)}")
    return None
