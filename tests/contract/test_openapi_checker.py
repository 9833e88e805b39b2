"""The judge itself: what it lets pass and what it stops."""

from typing import Any

import httpx
import pytest

from tests.contract.openapi import ContractChecker, ContractError

BASE = "http://127.0.0.1:8000/sell/inventory/v1"
HEADERS = {"Authorization": "Bearer t", "Content-Language": "en-US"}
JSON = {"Content-Type": "application/json"}
OFFER: dict[str, Any] = {
    "sku": "A1",
    "marketplaceId": "EBAY_US",
    "format": "FIXED_PRICE",
    "includeCatalogProductDetails": False,
    "pricingSummary": {"price": {"currency": "USD", "value": "1.00"}},
}
INCOMPLETE = {name: value for name, value in OFFER.items() if name != "includeCatalogProductDetails"}
NUMBER_FOR_PRICE = OFFER | {"pricingSummary": {"price": {"value": 1.0, "currency": "USD"}}}


def create_offer(body: Any = OFFER, headers: dict[str, str] = HEADERS, query: str = "") -> httpx.Request:
    return httpx.Request("POST", f"{BASE}/offer{query}", headers=headers, json=body)


def created(**changes: Any) -> httpx.Response:
    return httpx.Response(201, **(changes or {"json": {"offerId": "1"}}))


def refused(status: int = 400, content: Any = None) -> httpx.Response:
    return httpx.Response(status, json=content or {"errors": [{"errorId": 25002, "message": "no"}]})


def test_right_exchange_passes_and_is_counted(contract_checker: ContractChecker) -> None:
    """A correct offer and its answer pass and appear in the report by operation and status."""
    checker = ContractChecker(contract_checker.folder)

    checker.check(create_offer(), created())
    checker.check(create_offer(), refused())

    assert checker.report() == {"createOffer": {"201": 1, "400": 1}}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (create_offer(headers={"Authorization": "Bearer t"}), "Content-Language"),
        (create_offer(headers={"Content-Language": "en-US"}), "bearer"),
        (create_offer(INCOMPLETE), "is a required"),
        (create_offer(OFFER | {"colour": "red"}), "colour"),
        (create_offer(NUMBER_FOR_PRICE), "not of type"),
        (create_offer(OFFER | {"marketplaceId": "EBAY_MARS"}), "EBAY_MARS"),
        (create_offer(query="?dry_run=true"), "dry_run"),
        (httpx.Request("POST", f"{BASE}/offer", headers=HEADERS), "body"),
        (httpx.Request("POST", f"{BASE}/offer/1/publish", headers=HEADERS, json={}), "takes no body"),
        (httpx.Request("PATCH", f"{BASE}/offer/1", headers=HEADERS), "no document"),
        (httpx.Request("GET", "http://127.0.0.1/sell/marketing/v1/ad", headers=HEADERS), "no document"),
    ],
    ids=[
        "no Content-Language", "no token", "required field missing", "unknown field", "wrong type",
        "wrong enum", "unknown query parameter", "no body", "a body too many", "unknown method",
        "unknown API",
    ],
)  # fmt: skip
def test_wrong_request_is_stopped(
    contract_checker: ContractChecker, request_: httpx.Request, expected: str
) -> None:
    """Each violation of a request raises an error that names it."""
    request_.read()
    with pytest.raises(ContractError) as raised:
        contract_checker.check_request(request_)

    assert expected in str(raised.value)


def test_error_names_the_operation_and_every_violation(contract_checker: ContractChecker) -> None:
    """One error tells the operation, the side and all that is wrong."""
    with pytest.raises(ContractError) as raised:
        contract_checker.check_request(create_offer({"colour": "red"}, {"Authorization": "Bearer t"}))

    assert (raised.value.operation, raised.value.side) == ("createOffer", "request")
    text = str(raised.value)
    assert "Content-Language" in text
    assert "includeCatalogProductDetails" in text
    assert "colour" in text


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (created(json={"offerId": 1}), "not of type"),
        (created(json={"offerId": "1", "colour": "red"}), "colour"),
        (created(json=None), "Missing response data"),
        (created(content=b'{"offerId"', headers=JSON), "Failed to deserialize"),
        (httpx.Response(418, json={}), "status 418"),
        (refused(404), "status 404"),
        (refused(content={"error": "no"}), "errors"),
        (refused(content={"errors": [{"errorId": "25002"}]}), "not of type"),
        (refused(401, {"error": "no"}), "without eBay's errors"),
    ],
    ids=[
        "wrong type", "unknown field", "no body", "broken body", "unknown status", "undocumented status",
        "no errors", "errorId a string", "401 without errors",
    ],
)  # fmt: skip
def test_wrong_response_is_stopped(
    contract_checker: ContractChecker, response: httpx.Response, expected: str
) -> None:
    """Each violation of a response raises an error that names it."""
    with pytest.raises(ContractError) as raised:
        contract_checker.check_response(create_offer(), response)

    assert expected in str(raised.value)
    assert raised.value.side == "response"


def test_body_with_204_is_stopped(contract_checker: ContractChecker) -> None:
    """A status without a body in the document must come without one."""
    request = httpx.Request("DELETE", f"{BASE}/offer/1", headers=HEADERS)

    with pytest.raises(ContractError, match="has no body"):
        contract_checker.check_response(request, httpx.Response(204, json={}))


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(429, text="slow down"),
        httpx.Response(503, text="<html>"),
        refused(401, {"errors": [{"errorId": 1001}]}),
        refused(403, {"errors": [{"errorId": 1100}]}),
        refused(500, {"errors": [{"errorId": 25001}]}),
    ],
    ids=["429", "503", "401", "403", "500"],
)
def test_answers_from_in_front_of_the_api_pass(
    contract_checker: ContractChecker, response: httpx.Response
) -> None:
    """Limits, gateways and the token check answer for every operation, in no document or in eBay's error
    shape.
    """
    contract_checker.check_response(create_offer(), response)


def test_picture_upload_is_left_unread(contract_checker: ContractChecker) -> None:
    """The multipart body passes; another body for the same operation does not."""
    url = "http://127.0.0.1/commerce/media/v1_beta/image/create_image_from_file"
    upload = httpx.Request(
        "POST", url, headers=HEADERS, files={"image": ("a.jpg", b"\xff\xd8", "image/jpeg")}
    )
    upload.read()
    contract_checker.check_request(upload)

    with pytest.raises(ContractError, match="multipart"):
        contract_checker.check_request(httpx.Request("POST", url, headers=HEADERS, json={}))


def test_literal_path_beats_a_parameter(contract_checker: ContractChecker) -> None:
    """/offer/get_listing_fees is its own operation and no offer's id."""
    checker = ContractChecker(contract_checker.folder)
    request = httpx.Request("POST", f"{BASE}/offer/get_listing_fees", headers=HEADERS, json={"offers": []})
    checker.check(
        request,
        httpx.Response(200, json={"feeSummaries": []}),
    )

    assert checker.report() == {"getListingFees": {"200": 1}}


def test_token_endpoint_and_foreign_paths(contract_checker: ContractChecker) -> None:
    """The token endpoint has no document and is only counted; pictures and control calls are not covered."""
    checker = ContractChecker(contract_checker.folder)
    token = httpx.Request("POST", "http://127.0.0.1/identity/v1/oauth2/token", data={"grant_type": "x"})
    checker.check(token, httpx.Response(200, json={}))

    assert checker.report() == {"token": {"200": 1}}
    assert checker.covers("/sell/inventory/v1/offer")
    assert not checker.covers("/images/g/x/s-l500.jpg")


def test_absent_documents_are_a_reason(tmp_path: Any) -> None:
    """A folder without the documents is named, so that a test can skip and say why."""
    reason = ContractChecker(tmp_path).absent_reason

    assert reason is not None
    assert str(tmp_path) in reason
    assert "STOFLOW_CONTRACTS" in reason
