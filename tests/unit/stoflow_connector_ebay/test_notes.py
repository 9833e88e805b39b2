"""What is noted of a listing comes back as it was noted; of several listings the right ones are chosen."""

from __future__ import annotations

import pytest

from stoflow_connector_ebay.notes import KnownListings, ListingNotes
from stoflow_connector_sdk import ListingState, ProductListing
from stoflow_service_kit.structs import struct_to_dict

LIVE, ENDED = ListingState.LISTING_STATE_LIVE, ListingState.LISTING_STATE_ENDED


def listing(remote_id: str, site: str, version: int, state: ListingState.ValueType = LIVE) -> ProductListing:
    return ProductListing(remote_id, site, state, "", version, {})


def test_notes_come_back_as_they_were() -> None:
    """Notes survive their way through the contract, and a listing without any has empty ones."""
    notes = ListingNotes.applied(
        "7", {"product": {"title": "Dress"}}, {"price": {"value": "1.00"}}, {"sha": "https://x"}
    )
    stored = ProductListing("1", "EBAY_US", LIVE, "", 1, struct_to_dict(notes.to_struct()))
    assert ListingNotes.of(stored) == notes
    assert ListingNotes.of(None) == ListingNotes.of(listing("1", "EBAY_US", 1)) == ListingNotes()


@pytest.mark.parametrize(
    ("listings", "newest", "here", "is_live_here", "is_live_elsewhere"),
    [
        ([], None, None, False, False),
        ([listing("1", "EBAY_US", 3)], "1", "1", True, False),
        ([listing("2", "EBAY_DE", 5), listing("1", "EBAY_US", 3)], "2", "1", True, True),
        # What is over shows nothing, but the last one on the site is known.
        ([listing("2", "EBAY_DE", 5, ENDED), listing("1", "EBAY_US", 3)], "1", "1", True, False),
        ([listing("2", "EBAY_DE", 5), listing("1", "EBAY_US", 3, ENDED)], "2", "1", False, True),
        ([listing("3", "EBAY_US", 9, ENDED), listing("1", "EBAY_US", 3)], "1", "1", True, False),
    ],
)
def test_listings_are_told_apart(
    listings: list[ProductListing],
    newest: str | None,
    here: str | None,
    is_live_here: bool,
    is_live_elsewhere: bool,
) -> None:
    """The item's newest live listing, the site's own, and whether either is live."""
    known = KnownListings.on("EBAY_US", listings)
    assert (known.newest and known.newest.remote_id, known.here and known.here.remote_id) == (newest, here)
    assert (known.is_live_here, known.is_live_elsewhere) == (is_live_here, is_live_elsewhere)


def test_newer_is_greater_than_the_jobs() -> None:
    """A listing of the same version is not newer: what the job carries may still be brought to it."""
    known = KnownListings.on("EBAY_US", [listing("2", "EBAY_DE", 5), listing("1", "EBAY_US", 3)])
    assert [known.is_newer_than(version) for version in (4, 5)] == [True, False]
    assert [known.shows_newer_here(version) for version in (2, 3)] == [True, False]
