"""Which requests a fault rule catches."""

import pytest

from stoflow_sandbox.marketplaces.exchange import Call, Subject
from stoflow_sandbox.marketplaces.fault_book import FaultBook, UnknownFaultError
from stoflow_sandbox.marketplaces.faults import FaultKind, FaultRuleError, parse_rule, path_matches

PUBLISH = "/sell/inventory/v1/offer/1/publish"


def call(method: str = "POST", path: str = PUBLISH, body: bytes = b"") -> Call:
    return Call(method, path, "", {}, body, "http://x")


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/offer/*/publish", "/offer/1/publish", True),
        ("/offer/*/publish", "/offer/1/2/publish", False),
        ("/offer/**", "/offer/1/2/publish", True),
        ("**/publish", "/offer/1/publish", True),
        ("/offer", "/offer/1", False),
        ("/a.b", "/axb", False),
    ],
)
def test_star_is_a_segment_and_two_stars_any_rest(pattern: str, path: str, matches: bool) -> None:
    """A pattern matches whole paths only, and a dot is a dot."""
    assert path_matches(pattern, path) is matches


@pytest.mark.parametrize(
    ("conditions", "catches"),
    [
        ({}, True),
        ({"method": "post"}, True),
        ({"method": "GET"}, False),
        ({"seller": "ann"}, True),
        ({"seller": "bob"}, False),
        ({"sku": "S1"}, True),
        ({"sku": "S2"}, False),
        ({"body_contains": "EBAY_DE"}, True),
        ({"body_contains": "EBAY_FR"}, False),
        ({"seller": "ann", "sku": "S2"}, False),
    ],
)
def test_rule_catches_when_every_condition_holds(conditions: dict[str, str], catches: bool) -> None:
    """Conditions left out hold for any request."""
    rule = parse_rule({"kind": "hold"} | conditions)

    assert (
        rule.catches(call(body=b'{"marketplaceId":"EBAY_DE"}'), Subject("publishOffer", "ann", "S1"))
        is catches
    )


def test_rule_skips_then_catches_its_number_of_times() -> None:
    """skip lets the first matches pass, times ends the rule, and the next rule gets its turn."""
    book = FaultBook()
    first = book.add(parse_rule({"kind": "status", "skip": 1, "times": 2}))
    second = book.add(parse_rule({"kind": "hold", "times": None}))
    subject = Subject("publishOffer")

    caught = [book.take(call(), subject) for _ in range(5)]

    assert caught == [second, first, first, second, second]


def test_wrong_rule_is_refused_with_every_violation() -> None:
    """An unknown kind, an unknown field and a wrong type are all named."""
    with pytest.raises(FaultRuleError) as raised:
        parse_rule({"kind": "explode", "colour": "red", "times": "many", "skip": -1})

    assert {violation.partition(":")[0] for violation in raised.value.violations} == {
        "kind",
        "colour",
        "times",
        "skip",
    }


def test_apply_is_refused_where_it_means_nothing() -> None:
    """A status fault cannot apply its effect after the answer."""
    with pytest.raises(FaultRuleError, match="apply"):
        parse_rule({"kind": "status", "apply": "after"})


def test_hold_applies_the_effect_first_by_default() -> None:
    """The default of a hold is the state after the effect and before the answer."""
    assert parse_rule({"kind": "hold"}).apply == "before"


async def test_wait_ends_with_the_hit() -> None:
    """Waiting for a hit returns at once when it has happened and raises when time is up."""
    book = FaultBook()
    rule = book.add(parse_rule({"kind": FaultKind.HOLD}))
    with pytest.raises(TimeoutError):
        await book.wait_for_hits(rule.id, 1, 0)

    await book.announce(rule, 7)

    assert (await book.wait_for_hits(rule.id, 1, 1)).hits == [7]


async def test_removing_a_rule_releases_what_it_holds() -> None:
    """Nothing stays held by a rule that is gone, and its id is unknown from then on."""
    book = FaultBook()
    rule = book.add(parse_rule({"kind": "hold"}))
    event = book.hold(rule, 1)

    await book.remove(rule.id)

    assert event.is_set()
    with pytest.raises(UnknownFaultError):
        book.release(rule.id)
