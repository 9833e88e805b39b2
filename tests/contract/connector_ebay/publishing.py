"""Runs the steps of publish as the runtime does, one after the other, with the real definition."""

from __future__ import annotations

import hashlib
import io
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image
from stoflow.catalog.v1 import product_pb2

from stoflow_connector_ebay.bootstrap import make_definition
from stoflow_connector_ebay.settings import EbaySettings
from stoflow_connector_sdk import (
    ConnectorDefinition,
    EffectGrant,
    EffectMode,
    FollowUp,
    Lease,
    ListingChange,
    ListingState,
    ProductListing,
    TaskContext,
    TaskOutputs,
    TaskResult,
)
from stoflow_connector_sdk.task import set_current_task
from stoflow_connector_sdk.testing import FixedListings
from stoflow_sandbox.marketplaces.control import SandboxControl, SeededSeller
from stoflow_service_kit.structs import struct_to_dict
from tests.unit.stoflow_connector_ebay.samples import MAPPINGS, make_product

# A busy machine may keep an answer for long that takes milliseconds.
REQUEST_TIMEOUT_SECONDS = 1.2


@dataclass
class Catalogue:
    """Pictures by path."""

    base_url: str = ""
    pictures: dict[str, bytes] = field(default_factory=dict)

    def add(self, color: str, size: tuple[int, int] = (640, 520)) -> tuple[str, bytes]:
        """Draws a JPEG; returns its address and bytes."""
        buffer = io.BytesIO()
        Image.new("RGB", size, color).save(buffer, "JPEG")
        return self.add_bytes(buffer.getvalue()), buffer.getvalue()

    def add_bytes(self, data: bytes) -> str:
        """Keeps bytes; returns their address."""
        path = f"/images/{uuid.uuid4().hex}.jpg"
        self.pictures[path] = data
        return f"{self.base_url}{path}"


class RefreshingTokens:
    """Refreshes through the connector's own refresher, as the runtime does; counts the refreshes."""

    def __init__(self, refresher: Any, refresh_token: str) -> None:
        self._refresher = refresher
        self._refresh_token = refresh_token
        self.token = ""
        self.refreshes = 0

    async def get_access_token(self, task: TaskContext, refused: str = "") -> str:
        if not self.token or refused == self.token:
            # The refresh belongs to the account, not to this attempt and its lease.
            set_current_task(None)
            try:
                self.token = (await self._refresher.refresh(self._refresh_token)).access_token
            finally:
                set_current_task(task)
            self.refreshes += 1
        return self.token


class Memory(FixedListings):
    """What the orchestrator knows of the product's listings: results say it, tasks are told."""

    def __init__(self) -> None:
        super().__init__()
        self.listings: dict[str, ProductListing] = {}

    async def get_listings(self, task: TaskContext) -> Sequence[ProductListing]:
        return sorted(self.listings.values(), key=lambda listing: -listing.product_version)

    def keep(self, site: str, version: int, change: ListingChange) -> None:
        """Stores a result's word, as the orchestrator does."""
        known = self.listings.get(change.remote_id)
        is_over = change.state != ListingState.LISTING_STATE_LIVE
        if known is not None and known.product_version > version and not is_over:
            return
        notes: Mapping[str, Any] = {} if known is None else known.notes
        self.listings[change.remote_id] = ProductListing(
            remote_id=change.remote_id,
            site=site,
            state=change.state,
            url=change.url,
            product_version=max(version, 0 if known is None else known.product_version),
            notes=struct_to_dict(change.notes) if change.HasField("notes") else notes,
        )


class Publishing:
    """One product's way to eBay, and what becomes of it there."""

    def __init__(self, control: SandboxControl, seller: SeededSeller, catalogue: Catalogue) -> None:
        self.control = control
        self.seller = seller
        self.catalogue = catalogue
        self._definitions: list[ConnectorDefinition] = []
        settings = EbaySettings(
            orchestrator_address="127.0.0.1:1",
            nats_url="nats://127.0.0.1:1",
            ebay_api_url=control.base_url,
            ebay_media_url=control.base_url,
            ebay_auth_url=control.base_url,
            ebay_client_id=seller.client_id,
            ebay_client_secret=seller.client_secret,
            ebay_request_timeout_seconds=REQUEST_TIMEOUT_SECONDS,
            ebay_settle_seconds=1,
        )
        self.use(settings)
        self.sku = f"SKU{uuid.uuid4().hex[:16]}"
        self.product = make_product(sku=self.sku, images=[catalogue.add(c) for c in ("red", "green", "blue")])
        self.outputs: dict[str, list[Mapping[str, Any]]] = {}
        self.memory = Memory()
        self.site = "EBAY_US"
        self.options: Mapping[str, Any] = {}
        self.mappings: Mapping[str, str] = MAPPINGS
        self.settings_by_hand: dict[str, str] | None = None
        self.lease_seconds = 60.0

    def use(self, settings: EbaySettings) -> None:
        """Begins a connector with these settings; the ones before are closed at the end."""
        self.definition = make_definition(settings)
        self._definitions.append(self.definition)
        self.settings = settings
        self.handler = self.definition.handlers_by_action["publish"]
        self.tokens = RefreshingTokens(self.definition.token_refresher, self.seller.refresh_token)

    def renew(self, **options: Any) -> None:
        """Changes the seller at eBay; its consent is given anew."""
        self.seller = self.control.seed_seller(
            self.seller.username,
            client_id=self.seller.client_id,
            client_secret=self.seller.client_secret,
            refresh_token=f"v^1.1#r^1#{uuid.uuid4().hex}",
            **options,
        )
        self.use(self.settings)

    @property
    def site_settings(self) -> dict[str, str]:
        if self.settings_by_hand is not None:
            return self.settings_by_hand
        policies = self.seller.policies[self.site]
        return {**policies, "merchantLocationKey": self.seller.locations[0]}

    def task(
        self,
        name: str,
        *,
        item_index: int | None = None,
        probe: bool = False,
        adopt: str = "",
        input: Mapping[str, Any] | None = None,  # noqa: A002 - the field's name
    ) -> TaskContext:
        """Makes one attempt; `probe` as after an attempt whose end is unknown, `adopt` with what a person named."""
        effect = None
        if name in {"create_offer", "publish_offer"}:
            mode = EffectMode.PROBE if probe else EffectMode.ADOPT if adopt else EffectMode.EXECUTE
            effect = EffectGrant(
                key=f"{self.sku}:{name}",
                mode=mode,
                settle_remaining_seconds=1.0 if probe else 0.0,
                remote_id=adopt,
            )
        now = time.monotonic()
        return TaskContext(
            tenant_id=42,
            job_id="0192f0c4-0000-7000-8000-000000000001",
            task_id="0192f0c4-0000-7000-8000-000000000002",
            action=self.handler.action,
            name=name,
            lease=Lease(self.lease_seconds, sent_at=now),
            item_index=item_index,
            site=self.site,
            account_id="0192f0c3-0000-7000-8000-000000000009",
            account_settings={self.site: self.site_settings},
            mappings=self.mappings,
            options=self.options,
            outputs=TaskOutputs(self.outputs),
            input=input or {},
            effect=effect,
            granted_at=now,
            product_or_none=self.product,
            token_source=self.tokens,
            listing_source=self.memory,
        )

    async def attempt(
        self,
        name: str,
        *,
        item_index: int | None = None,
        probe: bool = False,
        adopt: str = "",
        input: Mapping[str, Any] | None = None,  # noqa: A002 - the field's name
    ) -> TaskResult:
        """Makes one attempt at a step, and keeps its output and what it says of the listing when it is done."""
        task = self.task(name, item_index=item_index, probe=probe, adopt=adopt, input=input)
        set_current_task(task)
        try:
            result = await self.handler.execute(task)
        finally:
            set_current_task(None)
        self.outputs.setdefault(name, []).append(result.output)
        if result.listing is not None:
            self.memory.keep(self.site, self.product.version, result.listing)
        return result

    def begin(self, action: str, site: str = "", **options: Any) -> None:
        """Begins another job on the product."""
        self.handler = self.definition.handlers_by_action[action]
        self.site = site or self.site
        self.options = options
        self.outputs = {}

    async def run(self, action: str, site: str = "", **options: Any) -> list[TaskResult]:
        """Runs a job with all its steps, those included that results append."""
        self.begin(action, site, **options)
        waiting = [
            FollowUp(spec.name, item_index=index)
            for spec in self.handler.create_tasks()
            if not spec.follow_up
            for index in (range(len(self.product.images)) if spec.for_each else [None])
        ]
        results = []
        while waiting:
            step = waiting.pop(0)
            result = await self.attempt(step.name, item_index=step.item_index, input=step.input)
            results.append(result)
            waiting = [*result.follow_ups, *waiting]
        return results

    async def until(self, last: str) -> TaskResult:
        """Runs all steps up to one, that included."""
        result = TaskResult()
        for spec in self.handler.create_tasks():
            for index in range(len(self.product.images)) if spec.for_each else [None]:
                result = await self.attempt(spec.name, item_index=index)
            if spec.name == last:
                break
        return result

    def change(self, **content: Any) -> None:
        """Changes the product, as a seller does between two jobs."""
        product = product_pb2.Product()
        product.CopyFrom(self.product)
        product.version += 1
        for name, value in content.items():
            if name == "amount_minor":
                product.content.price.amount_minor = value
            else:
                setattr(product.content, name, value)
        self.product = product

    def replace_image(self, index: int, picture: tuple[str, bytes]) -> None:
        """Changes one picture of the product."""
        product = product_pb2.Product()
        product.CopyFrom(self.product)
        product.version += 1
        product.images[index].url = picture[0]
        product.images[index].content_sha256 = hashlib.sha256(picture[1]).hexdigest()
        self.product = product

    def as_seller(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Does something at eBay as the seller does there, beside this project."""
        headers = {
            "authorization": f"Bearer {self.tokens.token}",
            "accept-language": "en-US",
            "content-language": "en-US",
        }
        response = httpx.request(method, f"{self.control.base_url}{path}", json=body, headers=headers)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def state(self) -> dict[str, Any]:
        """What the sandbox knows of the seller."""
        state: dict[str, Any] = self.control.state(self.seller.username)["sellers"][self.seller.username]
        return state

    def created(self) -> tuple[int, int]:
        """How many offers and listings were ever made of the product."""
        created = self.state()["created"]
        return created["offers"].get(self.sku, 0), created["listings"].get(self.sku, 0)

    def fault(self, kind: str, method: str, path: str, **rule: Any) -> str:
        """Adds a fault for this seller's requests."""
        return self.control.add_fault(kind, method=method, path=path, seller=self.seller.username, **rule)

    def fault_of_anybody(self, kind: str, method: str, path: str, **rule: Any) -> str:
        """Adds a fault for requests whosoever."""
        return self.control.add_fault(kind, method=method, path=path, **rule)

    async def aclose(self) -> None:
        """Closes the connector's connections."""
        for definition in self._definitions:
            for close in definition.closers:
                await close()
