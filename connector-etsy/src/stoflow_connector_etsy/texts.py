"""Which characters Etsy takes where. Source: the descriptions of createDraftListing's fields."""

import unicodedata
from collections.abc import Iterable
from typing import Final

from stoflow_connector_sdk import Violation

MAX_TITLE_CHARACTERS: Final = 140
MAX_TAGS: Final = 13
MAX_TAG_CHARACTERS: Final = 20
MAX_MATERIALS: Final = 13
# Letters, decimal digits, punctuation, mathematical symbols, white space.
_TITLE_CATEGORIES: Final = ("L", "Nd", "P", "Sm", "Zs")
_WORD_CATEGORIES: Final = ("L", "Nd", "Zs")
_MARKS: Final = "™©®"
_ONCE_IN_A_TITLE: Final = "%:&+"


def title_violations(title: str) -> list[Violation]:
    """Lists what Etsy would refuse in a title."""
    field = "product.content.title"
    violations = []
    if len(title) > MAX_TITLE_CHARACTERS:
        text = f"a title on Etsy has at most {MAX_TITLE_CHARACTERS} characters; this one has {len(title)}"
        violations.append(Violation(field, text))
    if wrong := _others(title, _TITLE_CATEGORIES, _MARKS):
        violations.append(Violation(field, f"a title on Etsy must not contain {wrong}"))
    often = [sign for sign in _ONCE_IN_A_TITLE if title.count(sign) > 1]
    if often:
        violations.append(
            Violation(field, f"a title on Etsy may contain each of {' '.join(often)} only once")
        )
    return violations


def tag_violations(tags: Iterable[str]) -> list[Violation]:
    """Lists what Etsy would refuse in tags."""
    field = "product.content.attributes.Tags"
    found = list(tags)
    violations = []
    if len(found) > MAX_TAGS:
        violations.append(
            Violation(field, f"a listing on Etsy has at most {MAX_TAGS} tags, not {len(found)}")
        )
    for tag in found:
        if len(tag) > MAX_TAG_CHARACTERS:
            violations.append(Violation(field, f"tag {tag!r} has more than {MAX_TAG_CHARACTERS} characters"))
        if wrong := _others(tag, _WORD_CATEGORIES, f"-'{_MARKS}"):
            violations.append(Violation(field, f"tag {tag!r} must not contain {wrong}"))
    return violations


def plain_words(values: Iterable[str]) -> list[str]:
    """Returns materials as Etsy takes them: letters, digits and spaces, each once."""
    found: dict[str, None] = {}
    for value in values:
        kept = "".join(sign if _is_allowed(sign, _WORD_CATEGORIES, "") else " " for sign in value)
        if word := " ".join(kept.split()):
            found[word] = None
    return list(found)[:MAX_MATERIALS]


def _others(text: str, categories: tuple[str, ...], also: str) -> str:
    wrong = dict.fromkeys(sign for sign in text if not _is_allowed(sign, categories, also))
    return ", ".join(repr(sign) for sign in wrong)


def _is_allowed(sign: str, categories: tuple[str, ...], also: str) -> bool:
    return sign in also or unicodedata.category(sign).startswith(categories)
