"""What the kill matrix must know of a marketplace; a new connector adds one class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from stoflow.catalog.v1.product_pb2 import ProductContent

from stoflow_sandbox.marketplaces.control import AsyncSandboxControl
from tests.chaos.kill_matrix.rows import TaskRow

LIVE = "LIVE"


@dataclass(frozen=True, slots=True)
class Seller:
    """A seller at the marketplace, and how the account that stands for them is set up."""

    username: str
    refresh_token: str
    site: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """What the marketplace itself says of one product after a cell.

    Attributes:
        created: How many of each thing were ever made, from whatever the sandbox counts: each must be 1, but
            for what a request leaves that is obeyed after the job's end.
        remote_ids: The ids of what exists, by name of the ONCE effect.
        listing_state: LIVE, or the marketplace's own word.
        picture_digests: SHA-256 of the pictures that buyers get, in order.
        sends: How many requests arrived for each ONCE step, by its name.
        shown: What buyers see: `title`, `price_minor`, `quantity`, and what edit_as_seller names.
    """

    created: Mapping[str, int]
    remote_ids: Mapping[str, tuple[str, ...]]
    listing_state: str
    picture_digests: tuple[str, ...]
    sends: Mapping[str, int]
    shown: Mapping[str, Any]


class Market(ABC):
    """One marketplace's sandbox and connector."""

    name: ClassVar[str]
    sandbox_module: ClassVar[str]
    connector_module: ClassVar[str]

    @abstractmethod
    def connector_environment(
        self, sandbox_url: str, request_timeout_seconds: float, settle_seconds: float
    ) -> Mapping[str, str]:
        """Returns the connector's own settings."""

    @abstractmethod
    def product(self, sku: str, marketplace: str) -> ProductContent:
        """Returns a product that the marketplace, registered under this name, takes."""

    @abstractmethod
    async def open_seller(self, control: AsyncSandboxControl, username: str) -> Seller:
        """Makes a seller at the sandbox."""

    @abstractmethod
    async def edit_as_seller(
        self, control: AsyncSandboxControl, seller: Seller, sku: str
    ) -> Mapping[str, Any]:
        """Sets something of a live product at the marketplace, as the seller does there; returns how it is shown.

        No job may lose it.
        """

    @abstractmethod
    async def gather(
        self, control: AsyncSandboxControl, seller: Seller, sku: str, rows: tuple[TaskRow, ...]
    ) -> MarketFacts:
        """Asks the sandbox what became of the product."""
