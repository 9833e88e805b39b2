"""Etsy's values of StoFlow's reference attributes, used where an operator has set no other.

Empty: the ids of the seller taxonomy come from getSellerTaxonomyNodes, and no published document lists them.
Operators import their mappings, or products name the category in their override.
"""

from collections.abc import Mapping
from typing import Final

DEFAULT_MAPPINGS: Final[Mapping[str, Mapping[str, str]]] = {}
