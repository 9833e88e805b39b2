"""A small category tree with the aspects and conditions of its leaves, and the sites that use it.

Ids and names are eBay's where a real category exists. The same tree, in English, serves every site.
"""

from dataclasses import dataclass
from typing import Any

TREE_VERSION = "1"
ROOT_ID = "0"

# Site: (category tree id, currency).
SITES: dict[str, tuple[str, str]] = {
    "EBAY_US": ("0", "USD"),
    "EBAY_CA": ("2", "CAD"),
    "EBAY_GB": ("3", "GBP"),
    "EBAY_AU": ("15", "AUD"),
    "EBAY_AT": ("16", "EUR"),
    "EBAY_FR": ("71", "EUR"),
    "EBAY_DE": ("77", "EUR"),
    "EBAY_IT": ("101", "EUR"),
    "EBAY_NL": ("146", "EUR"),
    "EBAY_ES": ("186", "EUR"),
    "EBAY_CH": ("193", "CHF"),
    "EBAY_HK": ("201", "HKD"),
    "EBAY_IE": ("205", "EUR"),
    "EBAY_MY": ("207", "MYR"),
    "EBAY_PH": ("211", "PHP"),
    "EBAY_SG": ("216", "SGD"),
    "EBAY_PL": ("212", "PLN"),
    "EBAY_BE": ("123", "EUR"),
}
TREE_IDS = frozenset(tree for tree, _ in SITES.values())

# ConditionEnum: (condition id, label).
CONDITION_IDS: dict[str, tuple[str, str]] = {
    "NEW": ("1000", "New"),
    "NEW_OTHER": ("1500", "New other (see details)"),
    "NEW_WITH_DEFECTS": ("1750", "New with defects"),
    "CERTIFIED_REFURBISHED": ("2000", "Certified - Refurbished"),
    "LIKE_NEW": ("2750", "Like New"),
    "PRE_OWNED_EXCELLENT": ("2990", "Pre-owned - Excellent"),
    "USED_EXCELLENT": ("3000", "Used"),
    "PRE_OWNED_FAIR": ("3010", "Pre-owned - Fair"),
    "USED_VERY_GOOD": ("4000", "Very Good"),
    "USED_GOOD": ("5000", "Good"),
    "USED_ACCEPTABLE": ("6000", "Acceptable"),
    "FOR_PARTS_OR_NOT_WORKING": ("7000", "For parts or not working"),
}
_CLOTHING = (
    "NEW",
    "NEW_OTHER",
    "NEW_WITH_DEFECTS",
    "PRE_OWNED_EXCELLENT",
    "USED_EXCELLENT",
    "PRE_OWNED_FAIR",
)
_ELECTRONICS = ("NEW", "NEW_OTHER", "CERTIFIED_REFURBISHED", "USED_EXCELLENT", "FOR_PARTS_OR_NOT_WORKING")
_MEDIA = ("NEW", "LIKE_NEW", "USED_VERY_GOOD", "USED_GOOD", "USED_ACCEPTABLE")
_GENERAL = tuple(CONDITION_IDS)


@dataclass(frozen=True, slots=True)
class Aspect:
    """An item specific; `values` is the closed list when `is_selection_only`, else suggestions."""

    name: str
    is_required: bool = False
    is_selection_only: bool = False
    is_multiple: bool = False
    values: tuple[str, ...] = ()
    max_length: int = 65


@dataclass(frozen=True, slots=True)
class Category:
    """A node of the tree; only leaves have conditions and aspects."""

    category_id: str
    name: str
    parent_id: str
    conditions: tuple[str, ...] = ()
    aspects: tuple[Aspect, ...] = ()
    keywords: tuple[str, ...] = ()

    @property
    def is_leaf(self) -> bool:
        return bool(self.conditions)


_COLORS = (
    "Beige", "Black", "Blue", "Brown", "Gold", "Gray", "Green", "Ivory", "Multicolor", "Orange", "Pink",
    "Purple", "Red", "Silver", "White", "Yellow",
)  # fmt: skip
_BRAND = Aspect("Brand", is_required=True)
_COLOR = Aspect("Color", is_required=True, values=_COLORS)
_STYLE = Aspect("Style")
_MATERIAL = Aspect(
    "Material", is_multiple=True, values=("Cotton", "Leather", "Linen", "Polyester", "Silk", "Wool")
)


def _wearable(department: str, *more: Aspect) -> tuple[Aspect, ...]:
    of = Aspect("Department", is_required=True, is_selection_only=True, values=(department, "Unisex Adults"))
    return (_BRAND, Aspect("Size", is_required=True), _COLOR, of, _STYLE, _MATERIAL, *more)


def _footwear(department: str) -> tuple[Aspect, ...]:
    of = Aspect("Department", is_required=True, is_selection_only=True, values=(department, "Unisex Adults"))
    return (_BRAND, Aspect("US Shoe Size", is_required=True), _COLOR, of, _STYLE)


_CATEGORIES = (
    Category("11450", "Clothing, Shoes & Accessories", ROOT_ID),
    Category("260010", "Women", "11450"),
    Category("15724", "Women's Clothing", "260010"),
    Category("63861", "Dresses", "15724", _CLOTHING, _wearable("Women"), ("dress", "gown")),
    Category("53159", "Tops", "15724", _CLOTHING, _wearable("Women"), ("top", "blouse", "tunic")),
    Category("11554", "Women's Jeans", "15724", _CLOTHING, _wearable("Women"), ("jeans", "denim")),
    Category("3034", "Women's Shoes", "260010"),
    Category("95672", "Women's Athletic Shoes", "3034", _CLOTHING, _footwear("Women"), ("shoes", "sneakers")),
    Category("169271", "Women's Bags & Handbags", "260010"),
    Category(
        "169291",
        "Bags & Handbags",
        "169271",
        _CLOTHING,
        (_BRAND, _COLOR, Aspect("Department"), _STYLE, _MATERIAL),
        ("bag", "handbag", "tote", "purse"),
    ),
    Category("260012", "Men", "11450"),
    Category("1059", "Men's Clothing", "260012"),
    Category("57990", "Casual Button-Down Shirts", "1059", _CLOTHING, _wearable("Men"), ("shirt", "button")),
    Category("15687", "T-Shirts", "1059", _CLOTHING, _wearable("Men"), ("t-shirt", "tshirt", "tee")),
    Category("11483", "Jeans", "1059", _CLOTHING, _wearable("Men"), ("jeans", "denim")),
    Category(
        "57988", "Coats, Jackets & Vests", "1059", _CLOTHING, _wearable("Men"), ("jacket", "coat", "vest")
    ),
    Category("93427", "Men's Shoes", "260012"),
    Category(
        "15709", "Athletic Shoes", "93427", _CLOTHING, _footwear("Men"), ("shoes", "sneakers", "trainers")
    ),
    Category("293", "Consumer Electronics", ROOT_ID),
    Category("15052", "Portable Audio & Headphones", "293"),
    Category(
        "112529",
        "Headphones",
        "15052",
        _ELECTRONICS,
        (
            _BRAND,
            Aspect("Model", is_required=True),
            Aspect("Connectivity", True, True, True, ("Wired", "Wireless")),
            _COLOR,
        ),
        ("headphones", "earbuds", "headset"),
    ),
    Category("625", "Cameras & Photo", ROOT_ID),
    Category(
        "15230",
        "Film Cameras",
        "625",
        _ELECTRONICS,
        (_BRAND, Aspect("Type", is_required=True), Aspect("Model")),
        ("camera", "film", "35mm"),
    ),
    Category("267", "Books & Magazines", ROOT_ID),
    Category(
        "261186",
        "Books",
        "267",
        _MEDIA,
        (
            Aspect("Author", is_required=True, is_multiple=True),
            Aspect("Book Title", is_required=True),
            Aspect(
                "Language", is_required=True, values=("English", "French", "German", "Italian", "Spanish")
            ),
        ),
        ("book", "novel", "paperback", "hardcover"),
    ),
    Category("11700", "Home & Garden", ROOT_ID),
    Category(
        "10034",
        "Home Décor Items",
        "11700",
        _GENERAL,
        (_BRAND, Aspect("Type"), _COLOR, _MATERIAL, _STYLE),
        ("decoration", "vase", "decor"),
    ),
    Category("99", "Everything Else", ROOT_ID),
    Category(
        "88433", "Every Other Thing", "99", _GENERAL, (Aspect("Brand"), Aspect("Type")), ("other", "thing")
    ),
)
CATEGORIES: dict[str, Category] = {category.category_id: category for category in _CATEGORIES}


def ancestors(category: Category) -> list[Category]:
    """Return the nodes above a category, nearest first, without the root."""
    above = []
    parent = CATEGORIES.get(category.parent_id)
    while parent is not None:
        above.append(parent)
        parent = CATEGORIES.get(parent.parent_id)
    return above


def leaves_below(category: Category) -> list[Category]:
    """Return the leaves under a category, or the category itself when it is one."""
    return [
        leaf for leaf in _CATEGORIES if leaf.is_leaf and (leaf is category or category in ancestors(leaf))
    ]


def find_leaf(category_id: str | None) -> Category | None:
    category = CATEGORIES.get(category_id or "")
    return category if category is not None and category.is_leaf else None


def suggest(query: str) -> list[Category]:
    """Return the leaves whose keywords or names occur in a query, best first."""
    words = {word.strip(".,;:!?()\"'").lower() for word in query.split()}
    singular = (
        words | {word.removesuffix("es") for word in words} | {word.removesuffix("s") for word in words}
    )

    def score(leaf: Category) -> int:
        names = {word.strip(",&").lower() for word in leaf.name.split()}
        return 2 * len(singular & set(leaf.keywords)) + len(words & names)

    scored = [(score(leaf), leaf) for leaf in _CATEGORIES if leaf.is_leaf]
    return [leaf for points, leaf in sorted(scored, key=lambda pair: -pair[0]) if points]


# Products of eBay's own catalogue by EAN: what includeCatalogProductDetails, true by default, puts over the
# seller's.
PRODUCTS: dict[str, dict[str, Any]] = {
    "4548736132610": {"title": "Sony WH-1000XM5 Wireless Noise Cancelling Headphones", "epid": "20053431452"},
    "9780141439518": {"title": "Pride and Prejudice (Penguin Classics)", "epid": "66480139"},
}
