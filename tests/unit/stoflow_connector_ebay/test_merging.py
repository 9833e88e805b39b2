"""The three-way merge: what the catalogue changed is written, everything else stays as it stands at eBay."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stoflow_connector_ebay.merging import changed, digests, merge

NAMES = st.text(alphabet="ab/~é ", min_size=1, max_size=3)
LEAVES = st.one_of(st.text(max_size=3), st.integers(0, 3), st.booleans(), st.lists(st.text(max_size=2)))
RECORDS = st.recursive(
    st.dictionaries(NAMES, LEAVES, max_size=3),
    lambda inner: st.dictionaries(NAMES, st.one_of(LEAVES, inner), max_size=3),
    max_leaves=6,
)


def leaves(record: dict[str, Any], prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            found.update(leaves(value, (*prefix, name)))
        else:
            found[*prefix, name] = value
    return found


@given(RECORDS)
def test_what_was_applied_is_not_changed(record: dict[str, Any]) -> None:
    """A record compared with its own digests has no change, and merging it anew changes nothing of any other."""
    assert changed(record, digests(record)) == set()


@given(RECORDS, RECORDS)
def test_unchanged_catalogue_leaves_ebay_alone(wanted: dict[str, Any], current: dict[str, Any]) -> None:
    """When the catalogue says what it said, whatever stands at eBay is the result."""
    assert merge(current, wanted, digests(wanted)) == current


@given(RECORDS, RECORDS)
def test_all_that_is_wanted_is_written_when_nothing_is_known(
    wanted: dict[str, Any], current: dict[str, Any]
) -> None:
    """Without knowledge of what was applied, everything wanted stands in the result."""
    merged = leaves(merge(current, wanted, {}))
    # A leaf may stand where eBay has an object, and the other way round.
    assert all(merged.get(path) == value for path, value in leaves(wanted).items())


def test_sellers_value_of_an_unchanged_field_survives() -> None:
    """A field that the seller changed and the catalogue did not keeps the seller's value; a changed one does not."""
    applied = {"title": "Dress", "price": {"value": "10.00"}, "quantity": 3}
    current = {"title": "Lovely dress", "price": {"value": "12.00"}, "quantity": 2, "mpn": "M1"}
    wanted = {"title": "Dress", "price": {"value": "11.00"}, "quantity": 3}
    assert merge(current, wanted, digests(applied)) == {
        "title": "Lovely dress",
        "price": {"value": "11.00"},
        "quantity": 2,
        "mpn": "M1",
    }
    assert changed(wanted, digests(applied)) == {"/price/value"}


def test_field_that_is_wanted_no_more_goes_unless_the_seller_took_it_over() -> None:
    """A leaf of ours that the catalogue gave up is removed; one that the seller changed since stays."""
    applied = {"aspects": {"Material": ["Cotton"], "Style": ["Boho"]}}
    current = {"aspects": {"Material": ["Cotton"], "Style": ["Maxi"]}}
    assert merge(current, {"aspects": {}}, digests(applied)) == {"aspects": {"Style": ["Maxi"]}}


def test_overwriting_writes_unchanged_fields_too() -> None:
    """Asked to overwrite, the catalogue's value stands, and what it never spoke of is kept."""
    wanted = {"title": "Dress"}
    current = {"title": "Lovely dress", "mpn": "M1"}
    assert merge(current, wanted, digests(wanted), overwrite=True) == {"title": "Dress", "mpn": "M1"}


def test_arguments_are_left_alone() -> None:
    """Merging changes none of the records that it is given."""
    current: dict[str, Any] = {"a": {"b": [1]}}
    wanted = {"a": {"c": [2]}}
    merge(current, wanted, {})["a"]["b"].append(3)
    assert (current, wanted) == ({"a": {"b": [1]}}, {"a": {"c": [2]}})
