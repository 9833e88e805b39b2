"""Revisions that databases have run stay as they were; what changes comes in a new one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import stoflow_orchestrator.migrations

FOLDER = Path(stoflow_orchestrator.migrations.__file__).parent
# SHA-256 of the files, as they were published.
PUBLISHED = {
    "public/versions/0001_first_tables.py": "30b22a74fc894c60290cbdb52b4cb2c7458ae4bdbe61636e0163613361b34055",
    "public/versions/0002_update_in_page.py": "b73306a51a3378c83e659809fa0b68be5527772082f86b04f1fd2881f23c7315",
    "public/versions/0003_reference_values.py": "f8d8e842af07748e1a40552e203dfdb3cdb21f42dfdf78cc5a3f3c03e8a5e176",
    "public/versions/0004_due_listing_updates.py": "0355dfbf466965003e99c5516b982103297c00f76b4ebc702164a917c3e90acf",
    "public/versions/0005_update_policies.py": "bb6249254690b180cec1ba775205b729fb135700b4454e4dbb4f87498f3f36f7",
    "public/versions/0006_reconnections_and_late_effects.py": "fd6219ad3dea00eed8e193623868a50caab06d22e38e155ab213f2032a36086a",  # noqa: E501
    "tenant/versions/0001_first_tables.py": "fd357cfa286bfa97d904872b8f8bf079596ded1b3e6178ae293e3da71d0888f4",
    "tenant/versions/0002_product_details.py": "001b9fbf31f82792c30870f8e7faff6a9cf0ff0363a0310eb7b49c4f7a50ec40",
    "tenant/versions/0003_price_rules.py": "ecda944e945db8157afd6bfe303e0f15b020b1ae2e0791556904f85ba9f7bb63",
    "tenant/versions/0004_listings_and_orders.py": "d301e4161848ceceadcbcc77bcc35ff11a359e70ea308a0b65f83e5f1e2f74a4",
    "tenant/versions/0005_update_policies.py": "e65c442fa8a79f2e8dff26f6f9956950b4650a1d8444e6c8196c62b848973e9c",
    "tenant/versions/0006_filters_of_jobs.py": "ad04c66b4ae58291b7a2dd386f7fc66f8e4e0f78986485943b2a2e6395fc02da",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_revision_is_unchanged(name: str) -> None:
    """A database that has run it would never get what is added to it later."""
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == PUBLISHED[name]
