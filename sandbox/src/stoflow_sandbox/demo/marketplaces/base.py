"""What the demo asks of a marketplace: one module of this package adds it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from stoflow.catalog.v1.reference_pb2 import ReferenceAttribute

from stoflow_sandbox.demo.secrets_file import Secrets

LIVE = "LIVE"


@dataclass(frozen=True, slots=True)
class SellerAccount:
    """A seller who gave consent: what CreateAccount is told; without a token a browser is paired instead."""

    display_name: str
    sites: Sequence[str]
    settings: Mapping[str, Any]
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ShownListing:
    """A listing as the marketplace shows it to buyers.

    Attributes:
        state: LIVE when buyers can buy it, else the marketplace's own word.
        details: Further names and values, for a person.
    """

    state: str
    remote_id: str
    url: str
    details: Sequence[tuple[str, str]] = ()

    @property
    def is_live(self) -> bool:
        return self.state == LIVE

    def to_json(self) -> dict[str, str]:
        return {"state": self.state, "remote_id": self.remote_id, "url": self.url}


class DemoMarketplace(ABC):
    """One marketplace: its sandbox, its connector, its seller.

    Attributes:
        name: The name that the connector registers: `ebay`.
        label: The name for people.
        sandbox_module: What `python -m` serves the sandbox with; reads HTTP_ADDRESS, STATE_DIR, READY_FILE.
        connector_module: What `python -m` runs the connector with.
        needs_browser: Whether the seller's own browser performs the steps; the demo then runs a scripted one.
        mappings: What an operator sets: attribute, key of the reference data, the marketplace's value.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    sandbox_module: ClassVar[str]
    connector_module: ClassVar[str]
    needs_browser: ClassVar[bool] = False
    mappings: ClassVar[Sequence[tuple[ReferenceAttribute.ValueType, str, str]]] = ()

    @abstractmethod
    def connector_environment(self, sandbox_url: str, secrets: Secrets) -> Mapping[str, str]:
        """Returns what this connector reads beside the settings of every connector."""

    def gateway_environment(self, address: str) -> Mapping[str, str]:
        """Returns what tells the connector where to listen for browsers; only for `needs_browser`."""
        raise NotImplementedError

    def browser_environment(self, sandbox_url: str, secrets: Secrets) -> Mapping[str, str]:
        """Returns what the scripted browser reads of site and member; only for `needs_browser`."""
        raise NotImplementedError

    @abstractmethod
    async def prepare_seller(self, sandbox_url: str, secrets: Secrets) -> SellerAccount:
        """Makes the seller at the marketplace, or finds the one of an earlier run."""

    @abstractmethod
    async def find_listing(self, sandbox_url: str, remote_id: str) -> ShownListing | None:
        """Asks the marketplace, not StoFlow; None when it has no such listing."""


class TradingMarketplace(DemoMarketplace):
    """A marketplace whose sandbox has buyers."""

    @abstractmethod
    async def buy(self, sandbox_url: str, remote_id: str) -> None:
        """Lets a buyer buy one piece of a listing."""
