"""The marketplaces of the demo, in the order in which they are shown."""

from collections.abc import Sequence

from stoflow_sandbox.demo.marketplaces.base import (
    DemoMarketplace,
    SellerAccount,
    ShownListing,
    TradingMarketplace,
)
from stoflow_sandbox.demo.marketplaces.ebay import EbayDemo
from stoflow_sandbox.demo.marketplaces.etsy import EtsyDemo
from stoflow_sandbox.demo.marketplaces.vinted import VintedDemo

MARKETPLACES: Sequence[DemoMarketplace] = (EbayDemo(), EtsyDemo(), VintedDemo())

__all__ = ["MARKETPLACES", "DemoMarketplace", "SellerAccount", "ShownListing", "TradingMarketplace"]
