"""eBay's values of StoFlow's reference attributes, used where an operator has set no other."""

from collections.abc import Mapping
from typing import Final

DEFAULT_MAPPINGS: Final[Mapping[str, Mapping[str, str]]] = {
    # Leaves of tree 0 (EBAY_US); the fashion trees of the other sites share these ids.
    "category": {
        "clothing/women/dresses": "63861",
        "clothing/women/tops": "53159",
        "clothing/women/jeans": "11554",
        "clothing/men/shirts": "57990",
        "clothing/men/jeans": "11483",
        "clothing/men/jackets": "57988",
        "shoes/women/sneakers": "95672",
        "shoes/men/sneakers": "15709",
        "accessories/bags": "169291",
        "home/decoration": "10034",
    },
    # Which conditions a category takes differs: nearly all take USED_EXCELLENT (3000, "Used").
    "condition": {
        "NEW_WITH_TAGS": "NEW",
        "NEW_WITHOUT_TAGS": "NEW_OTHER",
        "VERY_GOOD": "USED_EXCELLENT",
        "GOOD": "USED_EXCELLENT",
        "SATISFACTORY": "PRE_OWNED_FAIR",
        "FOR_PARTS": "FOR_PARTS_OR_NOT_WORKING",
    },
}
