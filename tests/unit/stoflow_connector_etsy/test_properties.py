"""The category's properties and what of the product answers them."""

from __future__ import annotations

from typing import Any

from stoflow_connector_etsy.properties import PropertyAnswer, answer_properties
from stoflow_connector_sdk import Violation
from tests.unit.stoflow_connector_etsy.samples import make_product


def known(name: str, *values: str, **more: Any) -> dict[str, Any]:
    return {
        "property_id": 200,
        "name": name.lower(),
        "display_name": name,
        "is_required": True,
        "supports_attributes": True,
        "is_multivalued": False,
        "possible_values": [
            {"value_id": number, "name": value, "scale_id": None} for number, value in enumerate(values, 1)
        ],
        **more,
    }


def answers(*properties: dict[str, Any], **product: Any) -> tuple[list[PropertyAnswer], list[Violation]]:
    violations: list[Violation] = []
    content = make_product(**product).content
    return answer_properties(properties, content, violations), violations


def test_values_are_found_by_name_whatever_their_case() -> None:
    """An attribute of the property's name answers it with Etsy's id of the value."""
    found, violations = answers(known("Length", "Mini", "Midi"), attributes={"length": ["midi"]})
    assert found == [PropertyAnswer(200, [2], ["Midi"])]
    assert violations == []


def test_required_property_without_an_answer_is_told_with_what_etsy_knows() -> None:
    """The seller reads which values there are, and what of the product was none of them."""
    found, violations = answers(known("Length", "Mini", "Midi"), attributes={"Length": ["long"]})
    assert found == []
    assert [one.field for one in violations] == ["product.content.attributes.Length"]
    assert "Mini, Midi; long is none of them" in violations[0].description


def test_property_that_etsy_does_not_require_may_be_missing() -> None:
    """Neither an optional property nor one that is no attribute keeps a product from being listed."""
    optional = known("Length", "Mini", is_required=False)
    other = known("Length", "Mini", supports_attributes=False)
    assert answers(optional, other) == ([], [])


def test_only_as_many_values_as_the_property_takes() -> None:
    """One value where there may be one, at most the allowed number where there may be several."""
    values = {"Colors": ["red", "blue", "green"]}
    single, _ = answers(known("Colors", "Red", "Blue", "Green"), attributes=values)
    double, _ = answers(
        known("Colors", "Red", "Blue", "Green", is_multivalued=True, max_values_allowed=2), attributes=values
    )
    assert [list(one.values) for one in single + double] == [["Red"], ["Red", "Blue"]]


def test_answer_survives_a_task_output() -> None:
    """What preflight found is read back by a later step, though numbers became floats on the way."""
    answer = PropertyAnswer(200, [1, 2], ["Red", "Blue"], 19)
    content = answer.to_json() | {"propertyId": 200.0, "valueIds": [1.0, 2.0], "scaleId": 19.0}
    assert PropertyAnswer.from_json(content) == answer
