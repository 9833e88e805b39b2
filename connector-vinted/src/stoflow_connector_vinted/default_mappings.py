"""Vinted's values of StoFlow's reference attributes, used where an operator has set no other.

The numbers are those that third-party clients name; categories, brands and sizes differ by country and change without
notice, so they come from the operator's or the tenant's own mappings.
"""

from collections.abc import Mapping
from typing import Final

DEFAULT_MAPPINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "condition": {
        "NEW_WITH_TAGS": "6",
        "NEW_WITHOUT_TAGS": "1",
        "VERY_GOOD": "2",
        "GOOD": "3",
        "SATISFACTORY": "4",
    },
}
