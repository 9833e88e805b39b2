"""What a service method is given."""

import asyncio
import enum
import hashlib
from base64 import b32encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

from stoflow.catalog.v1.listing_pb2 import ListingState
from stoflow.catalog.v1.product_pb2 import Product, ProductImage

from stoflow_connector_sdk.credentials import Authorization, CodeExchanger
from stoflow_connector_sdk.errors import StopRequestedError
from stoflow_connector_sdk.lease import Lease
from stoflow_service_kit.clock import Clock, SystemClock

_EMPTY: Mapping[str, Any] = {}


class EffectMode(enum.IntEnum):
    """How an attempt at a ONCE task begins; the numbers are those of stoflow.connector.v1.EffectMode."""

    EXECUTE = 1
    PROBE = 2
    ADOPT = 3


@dataclass(frozen=True)
class EffectGrant:
    """The orchestrator's record of a ONCE effect, granted with the attempt.

    Attributes:
        key: The same for every attempt of every job on the same account, product and site.
        generation: Grows when a settled effect is begun anew.
        mode: How the attempt began.
        settle_remaining_seconds: With PROBE: how long from the grant until a probe that finds nothing proves
            that nothing will appear.
        remote_id: The marketplace's id recorded when the effect was last done; may be empty, but with ADOPT.
    """

    key: str
    generation: int = 1
    mode: EffectMode = EffectMode.EXECUTE
    settle_remaining_seconds: float = 0.0
    remote_id: str = ""

    @cached_property
    def reference(self) -> str:
        """A token of 20 lower-case letters and digits, the same in every attempt of this key and
        generation.
        """
        digest = hashlib.sha256(f"{self.key}:{self.generation}".encode()).digest()
        return b32encode(digest).decode("ascii")[:20].lower()


class TaskOutputs:
    """Outputs of the job's earlier tasks."""

    def __init__(self, outputs: Mapping[str, list[Mapping[str, Any]]] | None = None) -> None:
        """Wraps outputs by step name; a step that fans out has one entry an element, in order."""
        self._outputs = outputs or {}

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        """Returns the output of a step that does not fan out.

        Raises:
            KeyError: No such step has run.
            LookupError: The step gave several outputs: use `list`.
        """
        found = self._outputs[name]
        if len(found) != 1:
            raise LookupError(
                f"step {name!r} gave {len(found)} outputs; read them with outputs.list({name!r})"
            )
        return found[0]

    def list(self, name: str) -> list[Mapping[str, Any]]:
        """Returns the outputs of a step in the order of its elements; empty when it has not run."""
        return list(self._outputs.get(name, ()))

    def __contains__(self, name: object) -> bool:
        return name in self._outputs

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)


class TokenSource(Protocol):
    """Gives access tokens of the accounts whose tasks run here."""

    async def get_access_token(self, task: "TaskContext", refused: str = "") -> str: ...


@runtime_checkable
class AuthorizationSource(Protocol):
    """Gives the authorization codes of connect tasks that run here, and saves what they are exchanged for."""

    async def get_authorization(self, task: "TaskContext") -> Authorization | None: ...

    async def connect_account(
        self, task: "TaskContext", authorization: Authorization, exchanger: CodeExchanger
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class ProductListing:
    """A listing of the job's product on the job's account, as the orchestrator knows it.

    Attributes:
        remote_id: The marketplace's id.
        site: The marketplace's site; empty for a marketplace with only one.
        state: Where it stands.
        url: Its public address; empty when it is not known.
        product_version: The version of the product that it shows.
        notes: What the connector noted on it last; empty when it noted nothing.
    """

    remote_id: str
    site: str
    state: ListingState.ValueType
    url: str
    product_version: int
    notes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AccountListing:
    """A LIVE listing of the job's account, as the orchestrator knows it.

    Attributes:
        remote_id: The marketplace's id.
        sku: The seller's key of the article; empty when it is not known.
    """

    remote_id: str
    sku: str


@dataclass(frozen=True, slots=True)
class SyncState:
    """What a sync compares the marketplace with.

    Attributes:
        last_complete_time: When the newest completed job of the same account, action and site was created, aware:
            what the marketplace changed before, that job could see. None when there is none.
        listings: LIVE listings of the account on the job's site, by remote id.
        next_page_token: Where the next page begins; empty when there is none.
    """

    last_complete_time: datetime | None = None
    listings: Sequence[AccountListing] = ()
    next_page_token: str = ""


class ListingSource(Protocol):
    """Knows the listings of the products and accounts whose tasks run here."""

    async def get_listings(self, task: "TaskContext") -> Sequence[ProductListing]: ...

    async def get_sync_state(self, task: "TaskContext", page_size: int, page_token: str) -> SyncState: ...


class AttemptState:
    """What changes during an attempt: whether to stop, and whether the marketplace may have acted already."""

    __slots__ = ("_stop", "on_reported", "possible_effects", "stop_reason")

    def __init__(self) -> None:
        self.stop_reason = ""
        # Called once the orchestrator has answered the attempt's report.
        self.on_reported: list[Callable[[], None]] = []
        self.possible_effects = 0
        self._stop: asyncio.Event | None = None

    @property
    def stop_event(self) -> asyncio.Event:
        """Set once the job was cancelled or paused."""
        # Made on demand: nearly every attempt ends without anybody waiting for it.
        if self._stop is None:
            self._stop = asyncio.Event()
            if self.stop_reason:
                self._stop.set()
        return self._stop

    def request_stop(self, reason: str) -> None:
        """Asks the attempt to end as soon as that is safe; for the runtime."""
        self.stop_reason = self.stop_reason or reason
        if self._stop is not None:
            self._stop.set()


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskContext:
    """One attempt at one task.

    Attributes:
        tenant_id: The tenant.
        job_id: The job.
        task_id: The task.
        action: The job's action: "publish".
        name: Name of the step: "upload_image".
        item_index: Which element a fanned-out step works on, from 0; None otherwise.
        attempt: Counts the attempts in this run, from 1.
        site: The marketplace's site; empty for a marketplace with only one.
        account_id: The account.
        account_settings: What the marketplace needs to know, by the definition's account_settings_schema.
        mappings: The marketplace's own value of each mapped attribute; one without a mapping is absent.
        value_lists: Every mapped value of the attributes that a product may have several of: "color", "material".
        options: The job's options.
        outputs: Outputs of the tasks before this one.
        input: What the result that appended this task gave it; empty for planned tasks.
        effect: Present for a step with `once`.
        lease: How long this process may act for the task.
        lease_token: Proof of the lease; the runtime's business.
        granted_at: Monotonic time at which the grant was answered.
        product_or_none: The product; None for actions without one.
        token_source: Where access tokens come from; the runtime's business.
        listing_source: Where listings come from; the runtime's business.
        clock: Time, also for waiting.
        state: What changes during the attempt; the runtime's business.
    """

    tenant_id: int
    job_id: str
    task_id: str
    action: str
    name: str
    lease: Lease
    item_index: int | None = None
    attempt: int = 1
    site: str = ""
    account_id: str = ""
    account_settings: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    mappings: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    value_lists: Mapping[str, Sequence[str]] = field(default_factory=lambda: _EMPTY)
    options: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    outputs: TaskOutputs = field(default_factory=TaskOutputs)
    input: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    effect: EffectGrant | None = None
    lease_token: str = ""
    granted_at: float = 0.0
    product_or_none: Product | None = None
    token_source: TokenSource | None = None
    listing_source: ListingSource | None = None
    clock: Clock = field(default_factory=SystemClock)
    state: AttemptState = field(default_factory=AttemptState)

    @property
    def product(self) -> Product:
        """The product as it was when the job was created.

        Raises:
            LookupError: The action has none; set `requires_product` on its handler.
        """
        if self.product_or_none is None:
            raise LookupError(f"a job with action {self.action!r} has no product")
        return self.product_or_none

    @property
    def image(self) -> ProductImage:
        """The image that a step with for_each "images" works on.

        Raises:
            LookupError: The step does not fan out, or the product has no such image.
        """
        if self.item_index is None:
            raise LookupError(f"step {self.name!r} does not fan out over images")
        return self.product.images[self.item_index]

    @property
    def is_stop_requested(self) -> bool:
        """Whether the job was cancelled or paused: end as soon as that is safe."""
        return bool(self.state.stop_reason)

    async def get_access_token(self, refused: str = "") -> str:
        """Returns a token to call the marketplace with for this account, refreshed when that is due.

        Args:
            refused: The token that the marketplace has just refused; it is not given out again.

        Raises:
            AuthRequiredError: The seller must connect the account again.
            RetryableError: No token can be had now.
        """
        if self.token_source is None:
            raise LookupError("this context was made without a token source")
        return await self.token_source.get_access_token(self, refused)

    async def get_authorization(self) -> Authorization | None:
        """Returns the authorization code that this connect task is to exchange; None when an earlier attempt has.

        Raises:
            PermanentError: There is no code any more; the seller must begin again.
            RetryableError: None can be had now.
        """
        return await self._authorizations().get_authorization(self)

    async def connect_account(self, authorization: Authorization, exchanger: CodeExchanger) -> None:
        """Exchanges a code and saves what it gives; neither stops halfway when this attempt is interrupted.

        Raises:
            PermanentError: The marketplace refused the code, or the orchestrator who consented.
            RetryableError: One of them did not answer.
        """
        await self._authorizations().connect_account(self, authorization, exchanger)

    def _authorizations(self) -> AuthorizationSource:
        source: object = self.token_source
        if not isinstance(source, AuthorizationSource):
            raise LookupError("this context was made without a source of authorizations")
        return source

    async def get_listings(self) -> Sequence[ProductListing]:
        """Returns what is known just now of the product's listings on this account, on all of its sites.

        The one that shows the newest product comes first; ended ones are among them. No other job of the account and
        product runs meanwhile.

        Raises:
            RetryableError: The orchestrator cannot be asked.
        """
        if self.listing_source is None:
            raise LookupError("this context was made without a listing source")
        return await self.listing_source.get_listings(self)

    async def get_sync_state(self, page_size: int = 0, page_token: str = "") -> SyncState:
        """Returns when the account was last synced whole, and a page of its LIVE listings on the job's site.

        Args:
            page_size: Listings wanted at most, up to 500; 0 for none.
            page_token: `next_page_token` of the page before, also of an earlier task's; empty to begin.

        Raises:
            RetryableError: The orchestrator cannot be asked.
        """
        if self.listing_source is None:
            raise LookupError("this context was made without a listing source")
        return await self.listing_source.get_sync_state(self, page_size, page_token)

    async def wait(self, seconds: float) -> None:
        """Waits within the attempt, for instance for an asynchronous import at the marketplace.

        Raises:
            StopRequestedError: The job was cancelled or paused meanwhile.
        """
        sleeper = asyncio.ensure_future(self.clock.sleep(seconds))
        stopper = asyncio.ensure_future(self.state.stop_event.wait())
        try:
            await asyncio.wait((sleeper, stopper), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            stopper.cancel()
        self.raise_if_stopped()

    def when_reported(self, callback: Callable[[], None]) -> None:
        """Has something done once the orchestrator has answered this attempt's report: what the report rests on may be
        forgotten then, and not before. Not called when the report is given up.
        """
        self.state.on_reported.append(callback)

    def raise_if_stopped(self) -> None:
        """Ends the attempt when the job was cancelled or paused.

        Raises:
            StopRequestedError: It was.
        """
        if self.state.stop_reason:
            raise StopRequestedError(
                f"The attempt ended early: {self.state.stop_reason}.", code="STOP_REQUESTED"
            )


_current_task: ContextVar[TaskContext | None] = ContextVar("stoflow_current_task", default=None)


def current_task() -> TaskContext | None:
    """Returns the task that runs here; None outside of any."""
    return _current_task.get()


def set_current_task(task: TaskContext | None) -> None:
    """Says which task runs here; for the runtime and for tests."""
    _current_task.set(task)
