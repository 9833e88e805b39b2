"""One product on several sites: one SKU, one item, an offer a site; a job of one site leaves the others alone."""

from __future__ import annotations

from typing import Any

import pytest

from stoflow_connector_sdk import ListingState
from tests.contract.connector_ebay.exchanges import Judge
from tests.contract.connector_ebay.publishing import Publishing

DE, FR = "EBAY_DE", "EBAY_FR"


@pytest.fixture
async def on_two(publishing: Publishing) -> Publishing:
    """The product live in Germany and in France."""
    publishing.product.content.price.currency_code = "EUR"
    await publishing.run("publish", DE)
    await publishing.run("publish", FR)
    return publishing


def listing(publishing: Publishing, site: str) -> dict[str, Any]:
    (remote_id,) = (one.remote_id for one in publishing.memory.listings.values() if one.site == site)
    found: dict[str, Any] = publishing.control.listing(remote_id)
    return found


def known(publishing: Publishing, site: str) -> Any:
    (found,) = (one for one in publishing.memory.listings.values() if one.site == site)
    return found


async def test_second_site_leaves_the_first_as_it_is(publishing: Publishing, judge: Judge) -> None:
    """Publishing on a second site reuses pictures and item, and changes nothing of the first listing."""
    publishing.product.content.price.currency_code = "EUR"
    await publishing.run("publish", DE)
    before, seen = listing(publishing, DE), len(judge.exchanges)
    item = publishing.state()["items"][publishing.sku]
    await publishing.run("publish", FR)
    assert listing(publishing, DE) == before
    assert publishing.state()["items"][publishing.sku]["locale"] == item["locale"] == "de_DE"
    writes = [(method, path) for method, path, _ in judge.exchanges[seen:] if method != "GET"]
    assert [path.rsplit("/", 1)[-1] for _, path in writes if "oauth2" not in path] == ["offer", "publish"]
    french = listing(publishing, FR)
    assert (french["status"], french["imageUrls"]) == ("ACTIVE", before["imageUrls"])
    assert publishing.created() == (2, 2)


async def test_second_site_keeps_what_the_seller_set(publishing: Publishing) -> None:
    """The title that the seller gave the item at eBay survives the product's publication on another site."""
    publishing.product.content.price.currency_code = "EUR"
    await publishing.run("publish", DE)
    path = f"/sell/inventory/v1/inventory_item/{publishing.sku}"
    content = publishing.as_seller("GET", path)
    for name in ("sku", "locale"):
        del content[name]
    content["product"]["title"] = "Sommerkleid"
    publishing.as_seller("PUT", path, content)
    publishing.change(description="Light linen dress.")
    await publishing.run("publish", FR)
    assert listing(publishing, DE)["title"] == listing(publishing, FR)["title"] == "Sommerkleid"
    assert publishing.state()["items"][publishing.sku]["product"]["description"] == "Light linen dress."


async def test_older_product_on_a_second_site_does_not_set_the_item_back(publishing: Publishing) -> None:
    """A publish that was submitted before the product's last change leaves the newer item as it is."""
    publishing.product.content.price.currency_code = "EUR"
    older = publishing.product
    await publishing.run("publish", DE)
    publishing.change(title="Newer")
    await publishing.run("update", DE)
    publishing.product = older
    await publishing.run("publish", FR)
    assert listing(publishing, DE)["title"] == listing(publishing, FR)["title"] == "Newer"
    # The French listing's offer is of the older product, and says so.
    assert known(publishing, FR).product_version == older.version


async def test_price_of_one_site_is_its_own(on_two: Publishing) -> None:
    """An update on one site leaves the other's price; its quantity is bounded by the stock that both share."""
    on_two.change(amount_minor=1500, stock_quantity=1)
    await on_two.run("update", DE)
    assert (listing(on_two, DE)["price"]["value"], listing(on_two, FR)["price"]["value"]) == (
        "15.00",
        "19.99",
    )
    assert listing(on_two, FR)["quantity"] == 1
    assert known(on_two, FR).product_version == 1
    await on_two.run("update", FR)
    assert listing(on_two, FR)["price"]["value"] == "15.00"


async def test_older_count_of_one_site_does_not_set_the_stock_back(on_two: Publishing) -> None:
    """A job that carries an older stock than another site brought changes its own offer and not the shared item."""
    on_two.change(stock_quantity=5)
    older = on_two.product
    on_two.change(stock_quantity=1)
    await on_two.run("update", DE)
    on_two.product = older
    await on_two.run("update", FR)
    shipped = on_two.state()["items"][on_two.sku]["availability"]["shipToLocationAvailability"]
    assert shipped["quantity"] == 1
    assert (listing(on_two, DE)["quantity"], listing(on_two, FR)["quantity"]) == (1, 1)


async def test_update_of_the_second_site_writes_the_item_once(on_two: Publishing, judge: Judge) -> None:
    """What one site's update brought to the shared item the other site's does not write again."""
    on_two.change(title="Newer", description="Light linen dress.")
    await on_two.run("update", DE)
    seen = len(judge.exchanges)
    await on_two.run("update", FR)
    assert not [one for one in judge.exchanges[seen:] if "inventory_item" in one[1]]
    assert listing(on_two, FR)["description"] == "Light linen dress."
    # The German listing is older again, in whatever order the two are updated.
    on_two.change(title="Newest")
    older = on_two.product
    on_two.change(amount_minor=1600)
    await on_two.run("update", FR)
    on_two.product = older
    await on_two.run("update", DE)
    assert listing(on_two, DE)["title"] == listing(on_two, FR)["title"] == "Newest"


@pytest.mark.parametrize("method", ["WITHDRAW", "OUT_OF_STOCK"])
async def test_ending_one_site_leaves_the_other(on_two: Publishing, method: str) -> None:
    """A delete on one site ends its listing alone."""
    await on_two.run("delete", DE, method=method)
    assert (listing(on_two, DE)["status"], listing(on_two, FR)["status"]) == ("ENDED", "ACTIVE")
    assert listing(on_two, FR)["quantity"] == 2
    assert known(on_two, FR).state == ListingState.LISTING_STATE_LIVE
