"""The headers that the Inventory API insists on, and the paging parameters it reads."""

from stoflow_sandbox.marketplaces.ebay.errors import EbayError, ebay_error
from stoflow_sandbox.marketplaces.ebay.shapes import LOCALES
from stoflow_sandbox.marketplaces.exchange import Call

_LANGUAGES = {locale.replace("_", "-").lower(): locale for locale in LOCALES}


def content_locale(call: Call) -> str | None:
    """Return the locale of Content-Language, as in en_US, or None."""
    return _LANGUAGES.get(call.headers.get("content-language", "").strip().lower())


def header_problems(call: Call, *, needs_content_language: bool, has_body: bool) -> list[EbayError]:
    """Return 25709 for each header that the live API would refuse.

    An absent Accept-Language is refused too: client libraries fill it in with `*`, and the live API takes
    only a language that it knows.
    """
    problems = []
    accepted = call.headers.get("accept-language", "").split(",")[0].partition(";")[0].strip().lower()
    if accepted not in _LANGUAGES:
        problems.append("Accept-Language")
    if needs_content_language and content_locale(call) is None:
        problems.append("Content-Language")
    if has_body and call.media_type != "application/json":
        problems.append("Content-Type")
    return [ebay_error(25709, f"header {name}", name=name) for name in problems]


def read_page(call: Call, default_limit: int, highest_limit: int) -> tuple[int, int] | EbayError:
    """Return (limit, page number); the API calls the page number `offset`."""
    limit = call.parameters.get("limit", str(default_limit))
    offset = call.parameters.get("offset", "0")
    if not limit.isdecimal() or not 1 <= int(limit) <= highest_limit:
        return ebay_error(25706, f"limit must be between 1 and {highest_limit}", limit=limit)
    if not offset.isdecimal():
        return ebay_error(25706, "offset must be a page number from 0", offset=offset)
    return int(limit), int(offset)


def page_links(call: Call, limit: int, offset: int, total: int, fixed: dict[str, str]) -> dict[str, str]:
    """Return href and, where such pages exist, next and prev."""
    prefix = f"{call.path}?" + "".join(f"{name}={value}&" for name, value in fixed.items())
    links = {"href": f"{prefix}limit={limit}&offset={offset}"}
    if (offset + 1) * limit < total:
        links["next"] = f"{prefix}limit={limit}&offset={offset + 1}"
    if offset > 0:
        links["prev"] = f"{prefix}limit={limit}&offset={offset - 1}"
    return links
