"""What a rule is given."""

from dataclasses import dataclass

from stoflow_sandbox.marketplaces.exchange import Call
from stoflow_sandbox.marketplaces.vinted.state import Member, World


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a signed-in member; `path` holds the numbers in its path."""

    call: Call
    path: dict[str, str]
    member: Member
    world: World
    now: float

    @property
    def base_url(self) -> str:
        return self.call.base_url

    def page(self, most_per_page: int) -> tuple[int, int]:
        """Return page and per_page; what is absent or out of range is brought into it, as the site does."""
        page = _number(self.call.parameters.get("page"), 1)
        per_page = _number(self.call.parameters.get("per_page"), 20)
        return max(page, 1), min(max(per_page, 1), most_per_page)


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() and len(text) < 10 else default


def pagination(page: int, per_page: int, total: int) -> dict[str, int]:
    return {
        "current_page": page,
        "total_pages": max(1, -(-total // per_page)),
        "total_entries": total,
        "per_page": per_page,
    }
