import pytest

from tests.integration.sandbox_etsy.etsy_client import EtsyClient
from tests.unit.stoflow_sandbox.marketplaces.ebay_seller import Shop
from tests.unit.stoflow_sandbox.marketplaces.etsy_site import EtsySite
from tests.unit.stoflow_sandbox.marketplaces.vinted_member import Seat


@pytest.fixture
def shop() -> Shop:
    """A seeded seller with nothing in its inventory."""
    return Shop()


@pytest.fixture
def seat() -> Seat:
    """A signed-in member of Vinted with an empty wardrobe."""
    return Seat()


@pytest.fixture
def site() -> EtsySite:
    """An Etsy with nobody on it."""
    return EtsySite()


@pytest.fixture
def etsy(site: EtsySite) -> EtsyClient:
    """A connected seller with an empty shop on that Etsy."""
    return site.client()
