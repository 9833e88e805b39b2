"""The properties that Etsy asks for in a category, and what of the product answers them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stoflow.catalog.v1 import product_pb2

from stoflow_connector_sdk import Violation

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PropertyAnswer:
    """One property of a listing, by Etsy's ids.

    Attributes:
        property_id: The property.
        value_ids: Etsy's ids of the values.
        values: Their names.
        scale_id: The scale that the values are of; 0 for none.
    """

    property_id: int
    value_ids: Sequence[int]
    values: Sequence[str]
    scale_id: int = 0

    def to_json(self) -> Json:
        """Returns it as a task's output keeps it."""
        return {
            "propertyId": self.property_id,
            "valueIds": list(self.value_ids),
            "values": list(self.values),
            "scaleId": self.scale_id,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "PropertyAnswer":
        """Reads what `to_json` wrote; numbers may have become floats on the way."""
        return cls(
            property_id=int(content["propertyId"]),
            value_ids=[int(value) for value in content["valueIds"]],
            values=[str(value) for value in content["values"]],
            scale_id=int(content.get("scaleId") or 0),
        )


def answer_properties(
    properties: Sequence[Mapping[str, Any]], content: product_pb2.ProductContent, violations: list[Violation]
) -> list[PropertyAnswer]:
    """Finds the product's values among those that Etsy knows.

    Args:
        properties: Results of getPropertiesByTaxonomyId.
        content: The product.
        violations: Takes required properties that the product does not answer.
    """
    said = _said(content)
    answers = []
    for one in properties:
        if not one.get("supports_attributes"):
            continue
        names = [str(one.get(name) or "").casefold() for name in ("display_name", "name")]
        wanted = next((said[name] for name in names if said.get(name)), [])
        answer = _answer(one, wanted)
        if answer is not None:
            answers.append(answer)
        elif one.get("is_required"):
            violations.append(_missing(one, wanted))
    return answers


def _said(content: product_pb2.ProductContent) -> dict[str, list[str]]:
    said = {
        "primary color": list(content.colors[:1]),
        "secondary color": list(content.colors[1:2]),
        "size": [content.size] if content.size else [],
        "material": list(content.materials),
        "materials": list(content.materials),
        "brand": [content.brand] if content.brand else [],
    }
    said |= {name.casefold(): list(values.values) for name, values in content.attributes.items()}
    return said


def _answer(one: Mapping[str, Any], wanted: Sequence[str]) -> PropertyAnswer | None:
    known = {str(value.get("name") or "").casefold(): value for value in one.get("possible_values") or ()}
    found = [known[word.casefold()] for word in wanted if word.casefold() in known]
    found = [value for value in found if value.get("value_id")]
    if not one.get("is_multivalued"):
        found = found[:1]
    limit = one.get("max_values_allowed")
    if isinstance(limit, int) and limit > 0:
        found = found[:limit]
    if not found:
        return None
    return PropertyAnswer(
        property_id=int(one["property_id"]),
        value_ids=[int(value["value_id"]) for value in found],
        values=[str(value["name"]) for value in found],
        scale_id=int(found[0].get("scale_id") or 0),
    )


def _missing(one: Mapping[str, Any], wanted: Sequence[str]) -> Violation:
    name = str(one.get("display_name") or one.get("name") or one.get("property_id"))
    known = [str(value.get("name") or "") for value in one.get("possible_values") or ()]
    shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    said = f"; {', '.join(wanted)} is none of them" if wanted else ""
    return Violation(
        f"product.content.attributes.{name}", f"Etsy asks for {name} in this category: {shown}{said}"
    )
