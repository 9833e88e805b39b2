"""Runs the steps of publish as the runtime does, one after the other, with the real definition."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from stoflow.catalog.v1 import product_pb2

from stoflow_connector_ebay.bootstrap import make_definition
from stoflow_connector_ebay.settings import EbaySettings
from stoflow_connector_sdk import (
    ConnectorDefinition,
    EffectGrant,
    EffectMode,
    Lease,
    TaskContext,
    TaskOutputs,
    TaskResult,
)
from stoflow_connector_sdk.task import set_current_task
from stoflow_sandbox.marketplaces.control import SandboxControl, SeededSeller
from tests.unit.stoflow_connector_ebay.samples import MAPPINGS, make_product

REQUEST_TIMEOUT_SECONDS = 0.6


@dataclass
class Catalogue:
    """Pictures by path."""

    base_url: str = ""
    pictures: dict[str, bytes] = field(default_factory=dict)

    def add(self, color: str) -> tuple[str, bytes]:
        """Draws a JPEG; returns its address and bytes."""
        buffer = io.BytesIO()
        Image.new("RGB", (640, 520), color).save(buffer, "JPEG")
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


class Publishing:
    """One product's way to eBay."""

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
        self.lease_seconds = 60.0

    def use(self, settings: EbaySettings) -> None:
        """Begins a connector with these settings; the ones before are closed at the end."""
        self.definition = make_definition(settings)
        self._definitions.append(self.definition)
        self.settings = settings
        self.handler = self.definition.handlers[0]
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
        policies = self.seller.policies["EBAY_US"]
        return {**policies, "merchantLocationKey": self.seller.locations[0]}

    def task(
        self, name: str, *, item_index: int | None = None, probe: bool = False, adopt: str = ""
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
            action="publish",
            name=name,
            lease=Lease(self.lease_seconds, sent_at=now),
            item_index=item_index,
            site="EBAY_US",
            account_id="0192f0c3-0000-7000-8000-000000000009",
            account_settings={"EBAY_US": self.site_settings},
            mappings=MAPPINGS,
            outputs=TaskOutputs(self.outputs),
            effect=effect,
            granted_at=now,
            product_or_none=self.product,
            token_source=self.tokens,
        )

    async def attempt(
        self, name: str, *, item_index: int | None = None, probe: bool = False, adopt: str = ""
    ) -> TaskResult:
        """Makes one attempt at a step, and keeps its output when it is done."""
        task = self.task(name, item_index=item_index, probe=probe, adopt=adopt)
        set_current_task(task)
        try:
            result = await self.handler.execute(task)
        finally:
            set_current_task(None)
        self.outputs.setdefault(name, []).append(result.output)
        return result

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
        for name, value in content.items():
            setattr(product.content, name, value)
        self.product = product

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

    async def aclose(self) -> None:
        """Closes the connector's connections."""
        for definition in self._definitions:
            for close in definition.closers:
                await close()
