"""Runs the steps of an action as the runtime does, one after the other, with the real definition."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stoflow.catalog.v1 import product_pb2

from stoflow_connector_etsy.bootstrap import make_definition
from stoflow_connector_etsy.settings import EtsySettings
from stoflow_connector_sdk import (
    ConnectorDefinition,
    EffectGrant,
    EffectMode,
    ListingChange,
    ProductListing,
    SyncState,
    TaskContext,
    TaskOutputs,
    TaskResult,
)
from stoflow_connector_sdk.task import set_current_task
from stoflow_connector_sdk.testing import FixedListings, make_task_context
from stoflow_sandbox.marketplaces.etsy.control import EtsySandboxControl, SeededShop
from stoflow_service_kit.structs import struct_to_dict
from tests.contract.connector_ebay.publishing import Catalogue, RefreshingTokens
from tests.unit.stoflow_connector_etsy.samples import make_product

# Long enough for a busy machine: what is not answered is waited for this long.
REQUEST_TIMEOUT_SECONDS = 1.5
DRESSES = "561"
BOOTS = "1446"


class RotatingTokens(RefreshingTokens):
    """Keeps the refresh token that each refresh gives, as SaveCredentials does."""

    async def get_access_token(self, task: TaskContext, refused: str = "") -> str:
        if not self.token or refused == self.token:
            set_current_task(None)
            try:
                tokens = await self._refresher.refresh(self._refresh_token)
            finally:
                set_current_task(task)
            self.token, self._refresh_token = tokens.access_token, tokens.refresh_token
            self.refreshes += 1
        return self.token


@dataclass
class Job:
    """One job's outputs and what it reported."""

    action: str
    outputs: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    results: list[TaskResult] = field(default_factory=list)

    @property
    def last(self) -> TaskResult:
        return self.results[-1]


class Selling:
    """One seller's product on its way to Etsy and back."""

    def __init__(
        self, control: EtsySandboxControl, shop: SeededShop, catalogue: Catalogue, **settings: Any
    ) -> None:
        self.control = control
        self.shop = shop
        self.catalogue = catalogue
        self._definitions: list[ConnectorDefinition] = []
        self._saved: dict[str, RotatingTokens] = {}
        self.sku = f"SKU-{uuid.uuid4().hex[:16]}"
        self.category = DRESSES
        self.options: dict[str, Any] = {}
        self.listings: list[ProductListing] = []
        self.sync_state = SyncState()
        self.generation = 1
        self.without: set[str] = set()
        self._pictures: dict[str, tuple[str, bytes]] = {}
        images = [self._drawn(color) for color in ("red", "green", "blue")]
        self.product = make_product(sku=self.sku, images=images)
        self.use(**settings)

    def use(self, **settings: Any) -> None:
        """Begins a connector with these settings; the ones before are closed at the end."""
        values: dict[str, Any] = {
            "orchestrator_address": "127.0.0.1:1",
            "nats_url": "nats://127.0.0.1:1",
            "etsy_api_url": self.control.base_url,
            "etsy_auth_url": self.control.base_url,
            "etsy_consent_url": f"{self.control.base_url}/oauth/connect",
            "etsy_keystring": self.shop.client_id,
            "etsy_shared_secret": self.shop.client_secret,
            "etsy_webhook_secret": self.shop.webhook_secret,
            "etsy_request_timeout_seconds": REQUEST_TIMEOUT_SECONDS,
            "etsy_settle_seconds": 1,
        }
        self.definition = make_definition(EtsySettings(**{**values, **settings}))
        self._definitions.append(self.definition)
        # A refresh token is worth one use, so a connector that follows another goes on with what that one saved.
        saved = self._saved.get(self.shop.refresh_token or "")
        if saved is None:
            refresh_token = self.shop.refresh_token or ""
            saved = self._saved[refresh_token] = RotatingTokens(
                self.definition.token_refresher, refresh_token
            )
        saved._refresher = self.definition.token_refresher
        self.tokens = saved

    @property
    def account_settings(self) -> dict[str, str]:
        found = {
            "shopId": str(self.shop.shop_id),
            "shippingProfileId": str(self.shop.shipping_profile_ids[0]),
            "returnPolicyId": str(self.shop.return_policy_ids[0]),
            "readinessStateId": str(self.shop.readiness_state_ids[0]),
        }
        return {name: value for name, value in found.items() if name not in self.without}

    def task(self, job: Job, name: str, **fields: Any) -> TaskContext:
        """Makes one attempt at a step."""
        return make_task_context(
            action=job.action,
            name=name,
            account_id="0192f0c3-0000-7000-8000-000000000009",
            account_settings=self.account_settings,
            mappings={"category": self.category},
            options=self.options,
            outputs=TaskOutputs(job.outputs),
            product_or_none=self.product,
            token_source=self.tokens,
            listing_source=FixedListings(*self.listings, sync_state=self.sync_state),
            **fields,
        )

    async def attempt(
        self,
        job: Job,
        name: str,
        *,
        item_index: int | None = None,
        probe: bool = False,
        adopt: str = "",
        remote_id: str = "",
        settle: float = 1.0,
        given: Mapping[str, Any] | None = None,
        number: int = 1,
    ) -> TaskResult:
        """Makes one attempt at a step and keeps its output when it is done."""
        handler = self.definition.handlers_by_action[job.action]
        spec = next(spec for spec in handler.create_tasks() if spec.name == name)
        effect = None
        if spec.once is not None:
            mode = EffectMode.ADOPT if adopt else EffectMode.PROBE if probe else EffectMode.EXECUTE
            effect = EffectGrant(
                key=f"{self.sku}:{spec.once.name}",
                generation=self.generation,
                mode=mode,
                settle_remaining_seconds=settle if probe else 0.0,
                remote_id=adopt or remote_id,
            )
        task = self.task(job, name, item_index=item_index, effect=effect, input=given or {}, attempt=number)
        set_current_task(task)
        try:
            result = await handler.execute(task)
        finally:
            set_current_task(None)
        job.outputs.setdefault(name, []).append(result.output)
        job.results.append(result)
        return result

    async def run(self, action: str, *, last: str = "", job: Job | None = None, **probe: Any) -> Job:
        """Runs an action's steps, appended ones included, up to one."""
        job = job or Job(action)
        for spec in self.definition.handlers_by_action[action].create_tasks():
            if spec.follow_up:
                continue
            once = probe if spec.once is not None else {}
            result = TaskResult()
            for index in range(len(self.product.images)) if spec.for_each else [None]:
                result = await self.attempt(job, spec.name, item_index=index, **once)
            await self._follow(job, result)
            if spec.name == last:
                break
        if job.last.listing is not None:
            self.know(job.last.listing)
        return job

    async def _follow(self, job: Job, result: TaskResult) -> None:
        waiting = list(result.follow_ups)
        while waiting:
            following = waiting.pop(0)
            done = await self.attempt(job, following.name, given=following.input)
            waiting = [*done.follow_ups, *waiting]

    def know(self, change: ListingChange) -> None:
        """Lets the next job know what this one reported, as the orchestrator does."""
        before = next((one.notes for one in self.listings if one.remote_id == change.remote_id), {})
        notes = struct_to_dict(change.notes) if change.HasField("notes") else before
        known = ProductListing(change.remote_id, "", change.state, change.url, 1, notes)
        self.listings = [known, *(one for one in self.listings if one.remote_id != change.remote_id)]

    def picture(self, *colors: str) -> None:
        """Gives the product other pictures; a color that it had already is the same picture as before."""
        self.product = make_product(
            sku=self.sku, images=[self._drawn(color) for color in colors], title=self.product.content.title
        )

    def _drawn(self, color: str) -> tuple[str, bytes]:
        if color not in self._pictures:
            self._pictures[color] = self.catalogue.add(color)
        return self._pictures[color]

    def change(self, **content: Any) -> None:
        """Changes the product, as a seller does between two jobs."""
        product = product_pb2.Product()
        product.CopyFrom(self.product)
        for name, value in content.items():
            setattr(product.content, name, value)
        self.product = product

    def state(self) -> dict[str, Any]:
        """What the sandbox knows of the seller."""
        state: dict[str, Any] = self.control.state(self.shop.username)["sellers"][self.shop.username]
        return state

    def shown(self, state: str = "") -> list[dict[str, Any]]:
        """The seller's listings, in one state or all, oldest first."""
        listings: Sequence[dict[str, Any]] = list(self.state()["listings"].values())
        return [one for one in listings if state in {"", one["state"]}]

    def only(self, state: str = "active") -> dict[str, Any]:
        """The seller's one listing, which is in this state."""
        (listing,) = self.shown()
        assert listing["state"] == state
        return listing

    def requests(self, **filters: Any) -> list[dict[str, Any]]:
        """What was sent for this seller."""
        return list(self.control.requests(seller=self.shop.username, **filters))

    def digests(self) -> list[str]:
        """The SHA-256 of the product's pictures, in order."""
        return [image.content_sha256 for image in self.product.images]

    def fault(self, kind: str, method: str, path: str, **rule: Any) -> str:
        """Adds a fault for this seller's requests."""
        return self.control.add_fault(
            kind, method=method, path=f"/v3/application{path}", seller=self.shop.username, **rule
        )

    async def aclose(self) -> None:
        """Closes the connector's connections."""
        for definition in self._definitions:
            for close in definition.closers:
                await close()
