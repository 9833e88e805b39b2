"""The marketplaces of the demo, in the order in which they are shown."""

from collections.abc import Sequence

from stoflow_sandbox.demo.marketplaces.base import DemoMarketplace, SellerAccount, ShownListing
from stoflow_sandbox.demo.marketplaces.ebay import EbayDemo

MARKETPLACES: Sequence[DemoMarketplace] = (EbayDemo(),)

__all__ = ["MARKETPLACES", "DemoMarketplace", "SellerAccount", "ShownListing"]
