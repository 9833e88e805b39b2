"""Who may call the Etsy sandbox: application, consent, tokens, scopes."""

import httpx
import pytest

from stoflow_sandbox.marketplaces.etsy.consent import ConsentError, answer
from stoflow_sandbox.marketplaces.etsy.sellers import SeedError, revoke_access
from tests.integration.sandbox_etsy.etsy_client import BASE, TOKEN, EtsyClient
from tests.unit.stoflow_sandbox.marketplaces.etsy_site import EtsySite, error

VERIFIER = "v" * 43


def consent(site: EtsySite, etsy: EtsyClient, **changes: str) -> httpx.URL:
    """Agree as ann and return where the browser goes."""
    query = dict(httpx.URL(etsy.authorization_url(VERIFIER, **changes)).params)
    return httpx.URL(answer(site.world, query, site.world.sellers["ann"], site.clock.now()))


def test_consent_leads_to_tokens_with_the_scopes_asked_for(site: EtsySite) -> None:
    """The code of a consent is exchanged, with its verifier, for a token of the consented scopes."""
    etsy = site.client(is_connected=False)

    redirect = consent(site, etsy)
    tokens = etsy.exchange(redirect.params["code"], VERIFIER).json()

    assert redirect.params["state"] == "superstate"
    assert tokens["access_token"].startswith(f"{etsy.shop.user_id}.")
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    assert etsy.call("GET", "/users/me").json()["shop_id"] == etsy.shop.shop_id
    assert etsy.shop_call("GET", "/receipts").status_code == 403


@pytest.mark.parametrize(
    "changes",
    [{"code_verifier": "w" * 43}, {"redirect_uri": "http://127.0.0.1:1/other"}],
    ids=["wrong verifier", "other redirect"],
)
def test_code_is_spent_by_a_wrong_exchange(site: EtsySite, changes: dict[str, str]) -> None:
    """A wrong verifier or redirect address is invalid_grant, and the code is gone."""
    etsy = site.client(is_connected=False)
    code = consent(site, etsy).params["code"]

    assert error(etsy.exchange(code, VERIFIER, **changes)) == "invalid_grant"
    assert error(etsy.exchange(code, VERIFIER)) == "invalid_grant"


def test_code_ends_after_ten_minutes(site: EtsySite) -> None:
    """A code that waited too long is invalid_grant."""
    etsy = site.client(is_connected=False)
    code = consent(site, etsy).params["code"]

    site.clock.advance(601)

    assert error(etsy.exchange(code, VERIFIER)) == "invalid_grant"


def test_refused_consent_carries_no_code(site: EtsySite) -> None:
    """A seller who refuses sends the browser back with access_denied and the state."""
    etsy = site.client(is_connected=False)
    query = dict(httpx.URL(etsy.authorization_url(VERIFIER)).params)

    redirect = httpx.URL(answer(site.world, query, None, site.clock.now()))

    assert redirect.params["error"] == "access_denied"
    assert redirect.params["state"] == "superstate"
    assert "code" not in redirect.params


def test_bad_authorization_request_names_everything(site: EtsySite) -> None:
    """PKCE, state, scope, redirect and client are all checked at once."""
    etsy = site.client(is_connected=False, redirect_uris=["https://app.test/back"])
    wrong = {
        "client_id": "nobody",
        "redirect_uri": "http://app.test/back",
        "scope": "listings_x",
        "state": "",
        "code_challenge_method": "plain",
        "code_challenge": "short",
        "response_type": "token",
    }

    with pytest.raises(ConsentError) as raised:
        consent(site, etsy, **wrong)

    named = {one.partition(":")[0] for one in raised.value.violations}
    assert named == set(wrong)
    with pytest.raises(ConsentError, match="not registered"):
        consent(site, etsy, redirect_uri="https://app.test/elsewhere")


def test_refresh_token_dies_on_use(etsy: EtsyClient) -> None:
    """A refresh answers the next refresh token; the one used before is invalid_grant."""
    used = etsy.refresh_token

    assert etsy.refresh().status_code == 200
    assert etsy.refresh_token != used
    assert error(etsy.refresh(used)) == "invalid_grant"
    assert etsy.refresh().status_code == 200


def test_grace_lets_a_lost_answer_be_asked_for_again(site: EtsySite) -> None:
    """With a grace the used token works once more for so long, and then no longer."""
    etsy = site.client(refresh_grace_seconds=30)
    used = etsy.refresh_token
    etsy.refresh()

    assert etsy.refresh(used).status_code == 200
    site.clock.advance(31)
    assert error(etsy.refresh(used)) == "invalid_grant"


def test_access_token_ends_after_an_hour(site: EtsySite, etsy: EtsyClient) -> None:
    """An old access token is 401 in OAuth's shape; refreshing helps."""
    site.clock.advance(3601)

    refused = etsy.call("GET", "/users/me")
    etsy.refresh()

    assert (refused.status_code, error(refused)) == (401, "invalid_token")
    assert etsy.call("GET", "/users/me").status_code == 200


def test_revoked_grant_stops_this_seller_only(site: EtsySite, etsy: EtsyClient) -> None:
    """After a revocation neither token of the seller works, and a neighbour's still do."""
    bob = site.client("bob")

    revoke_access(site.world, site.world.sellers["ann"])

    assert etsy.call("GET", "/users/me").status_code == 401
    assert error(etsy.refresh()) == "invalid_grant"
    assert bob.call("GET", "/users/me").status_code == 200


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ({}, "Invalid API key"),
        ({"x-api-key": "key"}, "Shared secret is required"),
        ({"x-api-key": "key:wrong"}, "incorrect shared secret"),
        ({"x-api-key": "nobody:hush"}, "not found"),
    ],
)
def test_api_key_is_keystring_and_secret(etsy: EtsyClient, key: dict[str, str], message: str) -> None:
    """Without keystring and shared secret even the ping is 403."""
    refused = etsy.http.get(f"{BASE}/openapi-ping", headers=key)

    assert refused.status_code == 403
    assert message in error(refused)


def test_bearer_token_carries_the_user(etsy: EtsyClient) -> None:
    """A token without its {user_id}. is unknown."""
    etsy.access_token = etsy.access_token.partition(".")[2]

    assert etsy.call("GET", "/users/me").status_code == 401


def test_token_of_another_application_is_refused(site: EtsySite, etsy: EtsyClient) -> None:
    """A token works only with the key of the application that it was issued to."""
    other = site.client("bob", client_id="other")
    other.access_token = etsy.access_token

    assert other.call("GET", "/users/me").status_code == 401


def test_scopes_are_enforced(site: EtsySite) -> None:
    """Reading is not writing, and writing is not deleting."""
    etsy = site.client(scopes=["listings_r", "listings_w", "shops_r"])
    listing_id = etsy.publish()

    refused = etsy.call("DELETE", f"/listings/{listing_id}")

    assert (refused.status_code, error(refused)) == (403, "insufficient_scope")


def test_public_reads_need_the_key_alone(etsy: EtsyClient) -> None:
    """An active listing can be read without a token; a draft cannot."""
    live, draft = etsy.publish(), etsy.draft()

    assert etsy.http.get(f"{BASE}/listings/{live}", headers=etsy.key).status_code == 200
    assert etsy.http.get(f"{BASE}/listings/{draft}", headers=etsy.key).status_code == 404
    assert etsy.call("GET", f"/listings/{draft}").status_code == 200


def test_sellers_do_not_reach_each_other(site: EtsySite, etsy: EtsyClient) -> None:
    """Another seller's shop and listings are 403, whatever the path says."""
    listing_id = etsy.publish()
    bob = site.client("bob")

    assert bob.call("GET", f"/shops/{etsy.shop.shop_id}/receipts").status_code == 403
    assert bob.patch(listing_id, title="Mine").status_code == 403
    assert bob.put_inventory(listing_id).status_code == 403
    assert bob.call("DELETE", f"/listings/{listing_id}").status_code == 403


def test_token_request_errors(etsy: EtsyClient) -> None:
    """Each wrong token request has OAuth's own code."""

    def ask(**form: str) -> str:
        return error(etsy.http.post(TOKEN, data=form))

    assert ask(client_id="nobody", grant_type="refresh_token") == "invalid_client"
    assert ask(client_id="key") == "invalid_request"
    assert ask(client_id="key", grant_type="refresh_token") == "invalid_request"
    assert ask(client_id="key", grant_type="password") == "unsupported_grant_type"


def test_bad_seed_names_everything_and_changes_nothing(site: EtsySite) -> None:
    """A seed that cannot be used says all that is wrong and makes no seller."""
    with pytest.raises(SeedError) as raised:
        site.seed("", scopes="listings_r", colour="red")
    assert [one.partition(":")[0] for one in raised.value.violations] == ["colour", "scopes", "username"]

    site.seed()
    with pytest.raises(SeedError, match="seeded with another"):
        site.seed("bob", client_secret="other")
    with pytest.raises(SeedError, match="rank_mode"):
        site.seed("bob", rank_mode="random")
    assert list(site.world.sellers) == ["ann"]
