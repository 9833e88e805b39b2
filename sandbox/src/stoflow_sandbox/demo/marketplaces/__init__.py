"""The marketplaces of the demo, in the order in which they are shown.

Those of MARKETPLACES always take part. Every other module of this package is another marketplace, which takes part
when it is named: `make up WITH=shopify`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Mapping, Sequence

from stoflow_sandbox.demo.errors import DemoError
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


def find_others() -> Mapping[str, DemoMarketplace]:
    """Returns what can be named beside MARKETPLACES, by name: one class of each module here."""
    found: dict[str, DemoMarketplace] = {}
    for module in sorted(one.name for one in pkgutil.iter_modules(__path__)):
        content = importlib.import_module(f"{__name__}.{module}")
        for _, kind in inspect.getmembers(content, inspect.isclass):
            # Imported names are somebody else's.
            if kind.__module__ != content.__name__ or inspect.isabstract(kind):
                continue
            if issubclass(kind, DemoMarketplace):
                found[kind.name] = kind()
    return {name: one for name, one in found.items() if name not in {usual.name for usual in MARKETPLACES}}


def choose_marketplaces(names: Iterable[str] = ()) -> Sequence[DemoMarketplace]:
    """Returns MARKETPLACES and those that are named, each once.

    Raises:
        DemoError: There is none of that name; the message lists those that there are.
    """
    others = find_others()
    wanted = [name for name in dict.fromkeys(names) if name not in {one.name for one in MARKETPLACES}]
    if unknown := [name for name in wanted if name not in others]:
        known = ", ".join(others) or "none"
        raise DemoError(
            f"no marketplace {', '.join(unknown)} to take part beside the usual ones; there is: {known}"
        )
    return (*MARKETPLACES, *(others[name] for name in wanted))


__all__ = [
    "MARKETPLACES",
    "DemoMarketplace",
    "SellerAccount",
    "ShownListing",
    "TradingMarketplace",
    "choose_marketplaces",
    "find_others",
]
