"""Tokens, headers, pictures and reference data."""

import base64
import io
from urllib.parse import urlencode

import pytest
from PIL import Image

from stoflow_sandbox.marketplaces.ebay import account, images, locations, oauth, taxonomy
from stoflow_sandbox.marketplaces.ebay.catalogue import SITES
from stoflow_sandbox.marketplaces.ebay.headers import header_problems, read_page
from stoflow_sandbox.marketplaces.ebay.pictures import PictureError, read_picture
from stoflow_sandbox.marketplaces.ebay.sellers import SeedError, seed_seller
from stoflow_sandbox.marketplaces.ebay.shapes import ITEM, OFFER, conform
from stoflow_sandbox.marketplaces.ebay.state import Code, World, seller_from_json, seller_to_json
from stoflow_sandbox.marketplaces.exchange import Call, Reply
from tests.unit.stoflow_sandbox.marketplaces.ebay_seller import NOW, Shop, error_ids, jpeg


def token_call(secret: str = "hush", client: str = "app", **form: str) -> Call:
    basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
    headers = {"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"}
    return Call("POST", "/identity/v1/oauth2/token", "", headers, urlencode(form).encode(), "http://x")


def refresh(shop: Shop, **form: str) -> Reply:
    token = next(iter(shop.seller.refresh_tokens))
    return oauth.issue_token(
        shop.world, token_call(**{"grant_type": "refresh_token", "refresh_token": token} | form), NOW
    )


def bearer(token: str, **headers: str) -> Call:
    return Call("GET", "/", "", {"authorization": f"Bearer {token}"} | headers, b"", "http://x")


def test_refresh_answers_an_access_token_and_keeps_the_refresh_token(shop: Shop) -> None:
    """Refreshing twice with the same token works: eBay does not rotate it."""
    first, second = refresh(shop), refresh(shop)

    assert first.content["expires_in"] == 7200
    assert first.content["token_type"] == "User Access Token"
    assert "refresh_token" not in first.content
    assert first.content["access_token"] != second.content["access_token"]


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"secret": "wrong"}, 401, "invalid_client"),
        ({"client": "nobody"}, 401, "invalid_client"),
        ({"refresh_token": "stale"}, 400, "invalid_grant"),
        ({"scope": "https://api.ebay.com/oauth/api_scope/sell.marketing"}, 400, "invalid_scope"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "guess"}, 400, "invalid_grant"),
    ],
)
def test_token_endpoint_refuses_in_oauth_shape(
    shop: Shop, form: dict[str, str], status: int, error: str
) -> None:
    """Each refusal has OAuth's error code and makes no token."""
    reply = refresh(shop, **form)

    assert (reply.status, reply.content["error"]) == (status, error)
    assert not shop.world.tokens


def test_refresh_token_belongs_to_its_application(shop: Shop) -> None:
    """Another application's credentials cannot use a seller's refresh token."""
    seed_seller(shop.world, {"username": "bob", "client_id": "other", "client_secret": "x"})

    assert refresh(shop, client="other", secret="x").content["error"] == "invalid_grant"


def test_code_is_exchanged_once(shop: Shop) -> None:
    """An authorization code gives both tokens the first time and invalid_grant the second."""
    shop.world.codes["code"] = Code("ann", [oauth.SCOPE], "RuName", NOW + 1)
    call = token_call(grant_type="authorization_code", code="code", redirect_uri="RuName")

    content = oauth.issue_token(shop.world, call, NOW).content

    assert content["refresh_token"] in shop.seller.refresh_tokens
    assert content["refresh_token_expires_in"] == 47_304_000
    assert oauth.issue_token(shop.world, call, NOW).content["error"] == "invalid_grant"


def test_token_ends_and_is_limited_to_its_scopes(shop: Shop) -> None:
    """An expired or unknown token is 401/1001, one without the scope 403/1100."""
    token = refresh(shop, scope=oauth.SCOPE).content["access_token"]
    held = oauth.find_token(shop.world, bearer(token))

    assert oauth.refuse_token(held, oauth.PUBLIC, NOW, "/") is None
    denied = oauth.refuse_token(held, oauth.INVENTORY, NOW, "/")
    expired = oauth.refuse_token(held, oauth.PUBLIC, NOW + 7200, "/")
    unknown = oauth.refuse_token(oauth.find_token(shop.world, bearer("x")), oauth.PUBLIC, NOW, "/")
    assert denied is not None
    assert expired is not None
    assert unknown is not None
    assert (denied.status, error_ids(denied)) == (403, [1100])
    assert (expired.status, error_ids(expired)) == (401, [1001])
    assert (unknown.status, error_ids(unknown)) == (401, [1001])


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({"accept-language": "en-US", "content-language": "de-DE"}, []),
        ({"accept-language": "en-US"}, ["Content-Language"]),
        ({"accept-language": "*", "content-language": "en-US"}, ["Accept-Language"]),
        ({"content-language": "en-US"}, ["Accept-Language"]),
        ({"accept-language": "en-US", "content-language": "english"}, ["Content-Language"]),
    ],
)
def test_language_headers_must_name_a_language(headers: dict[str, str], refused: list[str]) -> None:
    """25709 names each header that is absent or means nothing."""
    problems = header_problems(bearer("t", **headers), needs_content_language=True, has_body=False)

    assert [(one["errorId"], one["parameters"][0]["value"]) for one in problems] == [
        (25709, name) for name in refused
    ]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "offset=-1"])
def test_paging_out_of_bounds_is_refused(query: str) -> None:
    """25706 for a limit outside 1 to 200 or an offset that is no page number."""
    page = read_page(Call("GET", "/", query, {}, b"", "http://x"), 25, 200)

    assert isinstance(page, dict)
    assert page["errorId"] == 25706


def test_unreadable_fields_are_all_named_and_unknown_ones_dropped() -> None:
    """2004 names each field of the wrong type; a field that eBay does not know is read over."""
    body = {
        "product": {"title": 5, "imageUrls": "x", "colour": "red", "aspects": {"Size": "M"}},
        "condition": "Used",
        "availability": {"shipToLocationAvailability": {"quantity": "one"}},
    }

    _, problems = conform(body, ITEM)

    assert {one["parameters"][0]["value"] for one in problems} == {
        "Could not serialize field [product.title]",
        "Could not serialize field [product.imageUrls]",
        "Could not serialize field [product.aspects.Size]",
        "Could not serialize field [condition]",
        "Could not serialize field [availability.shipToLocationAvailability.quantity]",
    }
    assert conform({"product": {"colour": "red", "title": None}}, ITEM) == ({"product": {}}, [])


def test_price_must_be_a_string() -> None:
    """A price sent as a number cannot be read."""
    _, problems = conform({"pricingSummary": {"price": {"value": 5, "currency": "USD"}}}, OFFER)

    assert [one["errorId"] for one in problems] == [2004]


@pytest.mark.parametrize("name", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_supported_formats_are_accepted(name: str) -> None:
    """Every format that eBay names and Pillow reads passes."""
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10)).save(buffer, name)

    picture = read_picture(buffer.getvalue())

    assert (picture.width, picture.height) == (20, 10)


@pytest.mark.parametrize(
    ("content", "error_id"),
    [
        (b"not a picture", 190203),
        (jpeg(size=(800, 600))[:-2000], 190203),
        (jpeg(size=(9001, 1)), 190202),
        (b"\xff" * (12 * 1024 * 1024 + 1), 190201),
    ],
    ids=["no picture", "truncated", "too wide", "too large"],
)
def test_pictures_that_ebay_refuses(content: bytes, error_id: int) -> None:
    """Each fault of a picture has its own id."""
    with pytest.raises(PictureError) as raised:
        read_picture(content)

    assert raised.value.error_id == error_id


def test_animation_is_refused() -> None:
    """A GIF of two frames is no picture for a listing."""
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])

    with pytest.raises(PictureError):
        read_picture(buffer.getvalue())


def test_media_posts_are_limited_when_asked_for(shop: Shop) -> None:
    """With a limit of two, the third POST within five seconds is over it and one later is not."""
    shop.seller.media_posts_per_5_seconds = 2

    assert [images.is_over_media_rate(shop.seller, NOW + at) for at in (0, 1, 2, 5.5)] == [
        False,
        False,
        True,
        False,
    ]


def test_policies_are_those_of_the_site(shop: Shop) -> None:
    """The Account API answers the seller's policies of the named site, and refuses unknown sites."""
    content = account.list_policies(shop.seller, "payment", "EBAY_DE").content

    assert content["total"] == 1
    assert content["paymentPolicies"][0]["marketplaceId"] == "EBAY_DE"
    assert error_ids(account.list_policies(shop.seller, "payment", "EBAY_MARS")) == [20403]
    assert error_ids(account.list_policies(shop.seller, "payment", None)) == [20401]


def test_seller_without_business_policies_is_told(shop: Shop) -> None:
    """Not opted in: 20403, until the program is joined."""
    shop.seller.programs.clear()
    assert error_ids(account.list_policies(shop.seller, "return", "EBAY_US")) == [20403]

    assert account.opt_in(shop.seller, {"programType": "SELLING_POLICY_MANAGEMENT"}).status == 200
    assert account.list_policies(shop.seller, "return", "EBAY_US").status == 200


def test_location_keeps_its_address_and_its_key(shop: Shop) -> None:
    """A second location of the same key is 409, one without an address 400."""
    body = {"location": {"address": {"country": "DE", "postalCode": "10115"}}, "phone": "1"}

    assert locations.create_location(shop.seller, "berlin", body).status == 204
    assert error_ids(locations.create_location(shop.seller, "berlin", body)) == [25803]
    assert error_ids(locations.create_location(shop.seller, "x", {"phone": "1"})) == [25801]
    assert locations.get_location(shop.seller, "berlin").content["location"]["address"]["country"] == "DE"


@pytest.mark.parametrize("site", SITES)
def test_suggestions_lead_to_leaves_with_aspects_and_conditions(site: str) -> None:
    """On every site a search gives a leaf whose aspects and conditions can be read."""
    tree_id = taxonomy.get_default_tree(site).content["categoryTreeId"]
    found = taxonomy.get_suggestions(tree_id, "blue denim jeans", "http://x").content
    leaf = found["categorySuggestions"][0]["category"]["categoryId"]

    aspects = taxonomy.get_aspects(tree_id, leaf).content["aspects"]
    conditions = taxonomy.get_condition_policies(site, f"categoryIds:{{{leaf}}}").content

    assert "Brand" in [
        one["localizedAspectName"] for one in aspects if one["aspectConstraint"]["aspectRequired"]
    ]
    assert conditions["itemConditionPolicies"][0]["itemConditions"]


@pytest.mark.parametrize(
    ("reply", "error_id"),
    [
        (taxonomy.get_default_tree("EBAY_MARS"), 62003),
        (taxonomy.get_default_tree(None), 62002),
        (taxonomy.get_suggestions("999", "x", ""), 62004),
        (taxonomy.get_suggestions("0", " ", ""), 62007),
        (taxonomy.get_aspects("0", None), 62006),
        (taxonomy.get_aspects("0", "0"), 62008),
        (taxonomy.get_aspects("0", "1059"), 62009),
        (taxonomy.get_aspects("0", "424242"), 62005),
        (taxonomy.get_condition_policies("EBAY_US", "shoes"), 46002),
    ],
)
def test_reference_data_refuses_by_the_catalogue(reply: Reply, error_id: int) -> None:
    """Each wrong question has its own error id."""
    assert error_ids(reply) == [error_id]


def test_words_without_meaning_find_nothing() -> None:
    """Suggestions for nonsense are 204."""
    assert taxonomy.get_suggestions("0", "qwertz", "").status == 204


def test_seed_with_faults_changes_nothing() -> None:
    """A seed names everything that is wrong and makes no seller."""
    world = World()

    with pytest.raises(SeedError) as raised:
        seed_seller(world, {"username": "ann", "marketplaces": ["EBAY_MARS"], "shoe_size": 42})

    assert len(raised.value.violations) == 4
    assert not world.sellers


def test_seeding_again_keeps_listings_unless_reset(shop: Shop) -> None:
    """A renewed seller keeps what it has; reset makes a new one."""
    shop.live()
    seed = {"username": "ann", "client_id": "app", "client_secret": "hush"}

    assert seed_seller(shop.world, seed).listings
    assert not seed_seller(shop.world, seed | {"reset": True}).listings


def test_seller_survives_being_written_down(shop: Shop) -> None:
    """Everything a seller has comes back from JSON, the derived tables too."""
    shop.live()

    assert seller_from_json(seller_to_json(shop.seller)) == shop.seller
