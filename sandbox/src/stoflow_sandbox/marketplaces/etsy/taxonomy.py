"""The seller taxonomy: a small tree with the shape of the real one, and the properties of its leaves.

The numbers are the sandbox's own, except those of the properties that Etsy's guides name (200, 513, 514).
"""

from functools import cache
from typing import Any

from stoflow_sandbox.marketplaces.etsy.errors import refuse
from stoflow_sandbox.marketplaces.exchange import Reply

# Each node is its number, its name and its children.
_TREE: list[Any] = [
    (374, "Clothing", [
        (441, "Men's Clothing", [(449, "Shirts", []), (451, "Trousers", []), (452, "Jackets & Coats", [])]),
        (555, "Women's Clothing", [(561, "Dresses", []), (562, "Tops & Tees", []), (563, "Skirts", [])]),
    ]),
    (1429, "Shoes", [
        (1430, "Men's Shoes", [(1436, "Sneakers & Athletic Shoes", [])]),
        (1440, "Women's Shoes", [(1446, "Boots", [])]),
    ]),
    (1, "Accessories", [(132, "Bags & Purses", [(139, "Handbags", [])]), (7, "Hats & Caps", [])]),
    (891, "Home & Living", [(967, "Kitchen & Dining", [(1060, "Mugs", [])])]),
]  # fmt: skip
_COLORS = [
    "Black",
    "Blue",
    "Brown",
    "Green",
    "Gray",
    "Orange",
    "Pink",
    "Purple",
    "Red",
    "White",
    "Yellow",
    "Beige",
]
_LETTER_SIZES = ["XS", "S", "M", "L", "XL", "XXL"]
_SHOE_SIZES = [str(size) for size in range(36, 47)]
_MATERIALS = ["Cotton", "Linen", "Wool", "Silk", "Leather", "Denim", "Polyester"]
COLOR, SIZE, SHOE_SIZE, MATERIAL, CUSTOM = 200, 62809790503, 62809790533, 507, (513, 514)
SCALES = {301: "Letter size", 19: "US/Canada", 20: "EU"}


def _property(
    property_id: int, name: str, values: list[str], *, first_value: int, scale_id: int | None = None,
    is_required: bool = False, is_multivalued: bool = False, max_values: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    scales = [] if scale_id is None else [scale_id]
    return {
        "property_id": property_id,
        "name": name,
        "display_name": name,
        "scales": [{"scale_id": one, "display_name": SCALES[one], "description": ""} for one in scales],
        "is_required": is_required,
        "supports_attributes": True,
        "supports_variations": not is_multivalued,
        "is_multivalued": is_multivalued,
        "max_values_allowed": max_values,
        "possible_values": [
            {"value_id": first_value + number, "name": value, "scale_id": scale_id, "equal_to": []}
            for number, value in enumerate(values)
        ],
        "selected_values": [],
    }


_SHARED = [
    _property(COLOR, "Primary color", _COLORS, first_value=1),
    _property(MATERIAL, "Materials", _MATERIALS, first_value=400, is_multivalued=True, max_values=5),
]
_CLOTHING_SIZE = _property(SIZE, "Size", _LETTER_SIZES, first_value=1795, scale_id=301)
_SHOES = _property(SHOE_SIZE, "Shoe size", _SHOE_SIZES, first_value=2300, scale_id=20, is_required=True)


def _nodes(entries: list[Any], parent: dict[str, Any] | None) -> list[dict[str, Any]]:
    nodes = []
    for number, name, children in entries:
        path = [*(parent["full_path_taxonomy_ids"] if parent else []), number]
        node = {
            "id": number,
            "level": len(path) - 1,
            "name": name,
            "parent_id": parent["id"] if parent else None,
            "full_path_taxonomy_ids": path,
        }
        node["children"] = _nodes(children, node)
        nodes.append(node)
    return nodes


@cache
def tree() -> list[dict[str, Any]]:
    return _nodes(_TREE, None)


@cache
def nodes_by_id() -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    waiting = [*tree()]
    while waiting:
        node = waiting.pop()
        found[node["id"]] = node
        waiting += node["children"]
    return found


def properties_of(taxonomy_id: int) -> list[dict[str, Any]]:
    """Return the properties of a node: shoes must name their size, clothing may, everything has a color."""
    node = nodes_by_id()[taxonomy_id]
    root = node["full_path_taxonomy_ids"][0]
    sizes = {374: [_CLOTHING_SIZE], 1429: [_SHOES]}.get(root, [])
    return [*sizes, *_SHARED]


def get_nodes() -> Reply:
    return Reply(200, {"count": len(tree()), "results": tree()})


def get_properties(taxonomy_id: int) -> Reply:
    if taxonomy_id not in nodes_by_id():
        return refuse(404, f"Taxonomy node {taxonomy_id} does not exist.")
    properties = properties_of(taxonomy_id)
    return Reply(200, {"count": len(properties), "results": properties})
