"""What is checked before anything is sent."""

from __future__ import annotations

import pytest

from stoflow_connector_ebay.listing_terms import ListingTerms
from stoflow_connector_sdk import EffectOutcome, PermanentError
from tests.unit.stoflow_connector_ebay.samples import SETTINGS, make_product, make_task


def test_terms_come_from_task_settings_and_mappings() -> None:
    """The terms hold the site, the mapped values and this site's policies."""
    terms = ListingTerms.from_task(make_task())
    assert (terms.site.marketplace_id, terms.category_id, terms.condition) == (
        "EBAY_US",
        "63861",
        "USED_EXCELLENT",
    )
    assert (terms.fulfillment_policy_id, terms.merchant_location_key) == ("F1", "main")


def test_all_violations_are_reported_at_once_and_nothing_was_sent() -> None:
    """A job that cannot work fails with every reason, and its effect certainly did not happen."""
    settings = {"EBAY_US": {**SETTINGS["EBAY_US"], "returnPolicyId": ""}}
    task = make_task(product=make_product(currency="EUR"), settings=settings, mappings={})
    with pytest.raises(PermanentError) as caught:
        ListingTerms.from_task(task)
    assert {violation.field for violation in caught.value.violations} == {
        "account.settings.EBAY_US.returnPolicyId",
        "product.content.price.currencyCode",
        "mappings.category",
        "mappings.condition",
    }
    assert caught.value.effect is EffectOutcome.NOT_SENT


def test_unknown_site_names_the_known_ones() -> None:
    """A site that eBay does not have is refused with the list of those it has."""
    with pytest.raises(PermanentError, match="EBAY_DE") as caught:
        ListingTerms.from_task(make_task(site="EBAY_XX"))
    assert caught.value.violations[0].field == "site"


def test_site_without_settings_is_refused() -> None:
    """A site whose policies the account lacks is refused before the first request."""
    with pytest.raises(PermanentError) as caught:
        ListingTerms.from_task(make_task(site="EBAY_GB", product=make_product(currency="GBP")))
    fields = [violation.field for violation in caught.value.violations]
    assert "account.settings.EBAY_GB" in fields
