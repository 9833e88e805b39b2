"""What a run leaves for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stoflow_sandbox.demo.marketplaces import ShownListing


@dataclass(slots=True)
class Report:
    """Filled as the run goes on: listings as the marketplaces show them, figures as StatsService gives them."""

    tenant_id: int = 0
    jobs: dict[str, str] = field(default_factory=dict)
    listings: dict[str, ShownListing] = field(default_factory=dict)
    success_count: int = 0

    @property
    def is_success(self) -> bool:
        return (
            bool(self.listings)
            and all(listing.is_live for listing in self.listings.values())
            and self.success_count >= len(self.listings)
        )

    def to_json(self, seconds: float) -> dict[str, Any]:
        return {
            "listings": {name: listing.to_json() for name, listing in self.listings.items()},
            "stats": {"success_count": self.success_count},
            "seconds": round(seconds, 3),
        }


def write_report(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
