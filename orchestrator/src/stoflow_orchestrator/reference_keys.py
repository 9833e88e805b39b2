"""How a seller's own word becomes a key of the reference data."""

from __future__ import annotations

import re
import unicodedata

# The ASCII one, the typographic one, the grave and the acute accent.
_APOSTROPHES = str.maketrans("", "", "'\u2019`\u00b4")
_OTHERS = re.compile(r"[\W_]+")
CATEGORY_SEPARATOR = "/"
# Between the category and the size of a size that only counts for articles of that category.
SCOPE_SEPARATOR = ":"


def reference_key(word: str) -> str:
    """Returns the key that stands for a word: lower case, without accents, hyphens for all that is no letter or digit.

    A key is its own key, so products may name values by either. Empty for a word without letters and digits.
    """
    decomposed = unicodedata.normalize("NFKD", word.translate(_APOSTROPHES))
    bare = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
    return _OTHERS.sub("-", bare.casefold()).strip("-")


def ancestors(category: str) -> list[str]:
    """Returns a category and all above it, the deepest first."""
    parts = category.split(CATEGORY_SEPARATOR)
    return [CATEGORY_SEPARATOR.join(parts[:depth]) for depth in range(len(parts), 0, -1)]


def parent_category(category: str) -> str:
    """Returns the category directly above; empty for a root."""
    return category.rpartition(CATEGORY_SEPARATOR)[0]


def is_category_key(key: str) -> bool:
    """Whether a text has the form of a category's key."""
    return all(part and part == reference_key(part) for part in key.split(CATEGORY_SEPARATOR))
