"""The judge itself: it sees every client, and each omission that eBay would refuse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stoflow_connector_sdk import ConnectorError, MarketplaceHttpClient
from stoflow_connector_sdk.http.hooks import request_hooks
from tests.contract.connector_ebay.exchanges import Judge, add_to_report
from tests.contract.connector_ebay.publishing import Publishing

Json = dict[str, Any]


@pytest.fixture
def spoil() -> Iterator[Callable[[str, Callable[[httpx.Request], None]], None]]:
    """Changes requests of one method on their way out, before the judge sees them."""
    hooks = []

    def add(method: str, change: Callable[[httpx.Request], None]) -> None:
        async def hook(request: httpx.Request) -> None:
            if request.method == method and "/sell/inventory/" in request.url.path:
                change(request)

        hooks.append(hook)
        request_hooks.insert(0, hook)

    yield add
    for hook in hooks:
        request_hooks.remove(hook)


def body(change: Callable[[Json], object]) -> Callable[[httpx.Request], None]:
    """Changes a request's JSON body."""

    def apply(request: httpx.Request) -> None:
        content = json.loads(request.content)
        change(content)
        data = json.dumps(content).encode()
        request.stream = httpx.ByteStream(data)
        request._content = data
        request.headers["content-length"] = str(len(data))

    return apply


async def attempt_spoilt(publishing: Publishing, step: str) -> None:
    try:
        await publishing.attempt(step)
    except ConnectorError:
        # The sandbox may refuse it as well; here only the judge's word counts.
        return


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda request: request.headers.pop("content-language"), "Content-Language"),
        (lambda request: request.headers.pop("authorization"), "bearer"),
        (body(lambda content: content.pop("includeCatalogProductDetails")), "includeCatalogProductDetails"),
        (body(lambda content: content["pricingSummary"]["price"].update(value=19.99)), "value"),
        (body(lambda content: content.update(format="BUY_NOW")), "format"),
        (body(lambda content: content.update(colour="red")), "colour"),
    ],
    ids=["no-language", "no-token", "no-required-field", "number-as-price", "wrong-enum", "unknown-field"],
)
async def test_spoilt_offer_is_seen(
    publishing: Publishing, judge: Judge, spoil: Any, change: Callable[[httpx.Request], None], reason: str
) -> None:
    """An offer without a header or a required field, or with a wrong one, breaks the contract."""
    await publishing.until("put_inventory_item")
    spoil("POST", change)
    await attempt_spoilt(publishing, "create_offer")
    found = judge.take("createOffer", "request")
    assert found
    assert reason in str(found[0])


@pytest.mark.parametrize("name", ["title", "description"])
async def test_spoilt_item_is_seen(publishing: Publishing, judge: Judge, spoil: Any, name: str) -> None:
    """An item without a field that the document requires breaks the contract."""
    await publishing.until("upload_image")
    spoil("PUT", body(lambda content: content["product"].pop(name)))
    await attempt_spoilt(publishing, "put_inventory_item")
    found = judge.take("createOrReplaceInventoryItem", "request")
    assert found
    assert name in str(found[0])


async def test_item_without_language_is_seen(publishing: Publishing, judge: Judge, spoil: Any) -> None:
    """An item without Content-Language breaks the contract."""
    await publishing.until("upload_image")
    spoil("PUT", lambda request: request.headers.pop("content-language"))
    await attempt_spoilt(publishing, "put_inventory_item")
    assert judge.take("createOrReplaceInventoryItem", "request")


async def test_answer_that_ebay_would_not_give_is_seen(publishing: Publishing, judge: Judge) -> None:
    """Answers are judged too: one with a field that the document lacks is found."""
    await publishing.until("put_inventory_item")
    publishing.fault(
        "status", "POST", "/sell/inventory/v1/offer", status=201, content={"offerId": "1", "x": 1}
    )
    await attempt_spoilt(publishing, "create_offer")
    assert judge.take("createOffer", "response")


async def test_client_made_anywhere_is_judged(ebay_address: str, judge: Judge) -> None:
    """A client that nobody told of the judge is judged all the same."""
    client = MarketplaceHttpClient(ebay_address)
    await client.request("GET", "/sell/inventory/v1/offer/1?colour=red")
    await client.aclose()
    assert "bearer" in str(judge.take("getOffer", "request")[0])


def test_reports_of_one_run_are_added_up(tmp_path: Path) -> None:
    """Several test processes of one run make one report; another run's is replaced."""
    report = tmp_path / "contract-operations.json"
    report.write_text('{"run": "another", "operations": {"old": {"200": 1}}}')
    add_to_report({"getOffer": {"200": 2}}, report)
    merged = add_to_report({"getOffer": {"200": 1, "404": 1}, "createOffer": {"201": 1}}, report)
    assert merged["operations"] == {"getOffer": {"200": 3, "404": 1}, "createOffer": {"201": 1}}
    assert json.loads(report.read_text())["operations"] == merged["operations"]
