import pytest

from tests.unit.stoflow_sandbox.marketplaces.ebay_seller import Shop


@pytest.fixture
def shop() -> Shop:
    """A seeded seller with nothing in its inventory."""
    return Shop()
