import pytest

from tests.unit.stoflow_sandbox.marketplaces.ebay_seller import Shop
from tests.unit.stoflow_sandbox.marketplaces.vinted_member import Seat


@pytest.fixture
def shop() -> Shop:
    """A seeded seller with nothing in its inventory."""
    return Shop()


@pytest.fixture
def seat() -> Seat:
    """A signed-in member of Vinted with an empty wardrobe."""
    return Seat()
