"""The characters and lengths that Etsy allows in a listing's texts.

The classes of characters are those of the regular expressions in the official document; the numbers are
Etsy's limits for sellers, which the document does not repeat.
"""

import unicodedata
from collections import Counter
from typing import Any

TITLE_LENGTH = 140
SKU_LENGTH = 32
_SIGNS = "™©®"
# field: (entries, characters in one, classes of characters, single characters)
_LISTS = {
    "tags": (13, 20, ("L", "Nd", "Zs"), "-'" + _SIGNS),
    "materials": (13, 45, ("L", "Nd", "Zs"), ""),
    "styles": (2, 45, ("L", "Nd", "Zs"), ""),
}


def text_violations(fields: dict[str, Any]) -> list[str]:
    """Return what is wrong with title, description, tags, materials and styles, as far as they are given."""
    violations = []
    if "title" in fields:
        violations += _title_violations(fields["title"])
    if "description" in fields and not fields["description"].strip():
        violations.append("A description is required.")
    for name, (entries, length, classes, singles) in _LISTS.items():
        values = fields.get(name) or []
        if len(values) > entries:
            violations.append(f"{name}: at most {entries} are allowed.")
        for value in values:
            if not value or len(value) > length:
                violations.append(f"{name}: {value!r} must have 1 to {length} characters.")
            elif foreign := _foreign(value, classes, singles):
                violations.append(f"{name}: {value!r} contains invalid characters {foreign!r}.")
    return violations


def _title_violations(title: str) -> list[str]:
    violations = []
    if not title.strip() or len(title) > TITLE_LENGTH:
        violations.append(f"A title must have 1 to {TITLE_LENGTH} characters.")
    if foreign := _foreign(title, ("L", "Nd", "P", "Sm", "Zs"), _SIGNS):
        violations.append(f"The title contains invalid characters {foreign!r}.")
    counts = Counter(title)
    violations += [f"The title may contain {one} only once." for one in "%:&+" if counts[one] > 1]
    return violations


def _foreign(text: str, classes: tuple[str, ...], singles: str) -> str:
    return "".join(
        sorted(
            {one for one in text if one not in singles and not unicodedata.category(one).startswith(classes)}
        )
    )
