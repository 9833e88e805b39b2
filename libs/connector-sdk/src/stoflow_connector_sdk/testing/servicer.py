"""The double's side of the contract, with faults on demand."""

import asyncio
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc.aio
from stoflow.connector.v1 import connector_service_pb2 as pb

from stoflow_connector_sdk.testing.ledger import Ledger
from stoflow_connector_sdk.testing.sessions import MemorySessions
from stoflow_connector_sdk.testing.vault import TokenVault
from stoflow_service_kit.errors import FailedPreconditionError, ServiceError, UnavailableError

R = TypeVar("R")

_Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(slots=True)
class Fault:
    """What happens to one call: refused, or done with its answer lost.

    Attributes:
        error: What the caller sees.
        after: Whether the call takes effect before it fails.
    """

    error: ServiceError
    after: bool


class MemoryConnectorServicer(MemorySessions):
    """ConnectorService over a ledger.

    Attributes:
        calls: How often each method was called.
        requests: The latest requests of each method.
        registered: Registrations by instance.
        slots: What each instance's last heartbeat said.
        drained: Instances that their next heartbeat tells to ask for no more commands.
        released: How many leases were given back.
        hints: Hints taken, by marketplace and hint_id.
    """

    def __init__(
        self, ledger: Ledger, vault: TokenVault, heartbeat_seconds: float, consumers: tuple[str, ...]
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.requests: defaultdict[str, deque[Any]] = defaultdict(lambda: deque(maxlen=200))
        self.registered: dict[str, pb.RegisterConnectorRequest] = {}
        self.slots: dict[str, int] = {}
        self.drained: set[str] = set()
        self.released = 0
        self.hints: dict[tuple[str, str], pb.SubmitHintRequest] = {}
        self.accounts = {}
        self.changed = asyncio.Event()
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._ledger = ledger
        self._vault = vault
        self._heartbeat_seconds = heartbeat_seconds
        self._consumers = consumers

    def fail_next(self, method: str, fault: Fault) -> None:
        """Lets the next call of a method fail that no other fault waits for."""
        self._faults[method].append(fault)

    def _begin(self, method: str, request: Any) -> Fault | None:
        self.calls[method] += 1
        self.requests[method].append(request)
        self.changed.set()
        faults = self._faults[method]
        fault = faults.popleft() if faults else None
        if fault is not None and not fault.after:
            raise fault.error
        return fault

    async def RegisterConnector(  # noqa: N802 - the contract's name
        self,
        request: pb.RegisterConnectorRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.RegisterConnectorResponse:
        fault = self._begin("RegisterConnector", request)
        self.registered[request.instance_id] = request
        self.slots[request.instance_id] = request.slots
        response = pb.RegisterConnectorResponse(
            stream=f"TASKS_{request.manifest.marketplace.upper()}",
            consumers=self._consumers,
            directives_subject=f"stoflow.directives.{request.manifest.marketplace}.{request.instance_id}",
        )
        response.lease.FromNanoseconds(int(self._ledger.lease_seconds * 1e9))
        response.heartbeat_interval.FromNanoseconds(int(self._heartbeat_seconds * 1e9))
        return _answer(fault, response)

    async def StartTasks(  # noqa: N802 - the contract's name
        self,
        request: pb.StartTasksRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.StartTasksResponse:
        fault = self._begin("StartTasks", request)
        if request.instance_id not in self.registered:
            raise FailedPreconditionError("Register first.", reason="CONNECTOR_NOT_REGISTERED")
        return _answer(fault, pb.StartTasksResponse(results=[self._ledger.start(x) for x in request.starts]))

    async def HeartbeatTasks(  # noqa: N802 - the contract's name
        self,
        request: pb.HeartbeatTasksRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.HeartbeatTasksResponse:
        fault = self._begin("HeartbeatTasks", request)
        self.slots[request.instance_id] = request.slots
        return _answer(
            fault,
            pb.HeartbeatTasksResponse(
                results=[self._ledger.heartbeat(lease) for lease in request.leases],
                must_register=request.instance_id not in self.registered,
                must_drain=request.instance_id in self.drained,
            ),
        )

    async def ReportTasks(  # noqa: N802 - the contract's name
        self,
        request: pb.ReportTasksRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.ReportTasksResponse:
        fault = self._begin("ReportTasks", request)
        may_go_on = request.instance_id in self.registered and request.instance_id not in self.drained
        return _answer(
            fault,
            pb.ReportTasksResponse(
                results=[self._ledger.report(x, may_go_on=may_go_on) for x in request.reports]
            ),
        )

    async def ReleaseTasks(  # noqa: N802 - the contract's name
        self,
        request: pb.ReleaseTasksRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.ReleaseTasksResponse:
        fault = self._begin("ReleaseTasks", request)
        if request.deregister:
            self.registered.pop(request.instance_id, None)
        self.released += sum(self._ledger.release(lease) for lease in request.leases)
        return _answer(fault, pb.ReleaseTasksResponse())

    async def GetCredentials(  # noqa: N802 - the contract's name
        self,
        request: pb.GetCredentialsRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.GetCredentialsResponse:
        fault = self._begin("GetCredentials", request)
        job = self._ledger.holds(request.job_id, request.task_id, request.lease_token)
        if job is None or job.account_id != request.account_id:
            raise FailedPreconditionError("No lease.", reason="LEASE_REQUIRED")
        return _answer(fault, self._vault.get(request))

    async def SaveCredentials(  # noqa: N802 - the contract's name
        self,
        request: pb.SaveCredentialsRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.SaveCredentialsResponse:
        fault = self._begin("SaveCredentials", request)
        self._vault.save(request)
        return _answer(fault, pb.SaveCredentialsResponse())

    async def GetAuthorization(  # noqa: N802 - the contract's name
        self,
        request: pb.GetAuthorizationRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.GetAuthorizationResponse:
        fault = self._begin("GetAuthorization", request)
        job = self._ledger.holds(request.job_id, request.task_id, request.lease_token)
        if job is None or job.account_id != request.account_id or job.action != "connect":
            raise FailedPreconditionError("No lease.", reason="LEASE_REQUIRED")
        return _answer(fault, self._vault.authorize(request.account_id))

    async def SubmitHint(  # noqa: N802 - the contract's name
        self,
        request: pb.SubmitHintRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.SubmitHintResponse:
        fault = self._begin("SubmitHint", request)
        key = (request.marketplace, request.hint_id)
        is_new = key not in self.hints
        self.hints.setdefault(key, request)
        return _answer(fault, pb.SubmitHintResponse(is_new=is_new, account_count=int(is_new)))

    async def EraseAccountData(  # noqa: N802 - the contract's name
        self,
        request: pb.EraseAccountDataRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.EraseAccountDataResponse:
        return _answer(self._begin("EraseAccountData", request), pb.EraseAccountDataResponse())

    async def GetListings(  # noqa: N802 - the contract's name
        self,
        request: pb.GetListingsRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.GetListingsResponse:
        fault = self._begin("GetListings", request)
        job = self._ledger.holds(request.job_id, request.task_id, request.lease_token)
        if job is None:
            raise FailedPreconditionError("No lease.", reason="LEASE_REQUIRED")
        return _answer(fault, pb.GetListingsResponse(listings=self._ledger.listings_for(job)))

    async def GetSyncState(  # noqa: N802 - the contract's name
        self,
        request: pb.GetSyncStateRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.GetSyncStateResponse:
        fault = self._begin("GetSyncState", request)
        job = self._ledger.holds(request.job_id, request.task_id, request.lease_token)
        if job is None:
            raise FailedPreconditionError("No lease.", reason="LEASE_REQUIRED")
        known = [
            pb.AccountListing(remote_id=one.remote_id, sku=one.sku)
            for one in self._ledger.live_listings(job)
            if one.remote_id > request.page_token
        ]
        page = known[: request.page_size]
        token = page[-1].remote_id if page and len(page) < len(known) else ""
        response = pb.GetSyncStateResponse(listings=page, next_page_token=token)
        last = self._ledger.last_completed(job)
        if last is not None:
            response.last_complete_time.FromDatetime(last)
        return _answer(fault, response)


def unavailable() -> ServiceError:
    """The error of an orchestrator that goes away."""
    return UnavailableError("A fault on demand.")


def _answer(fault: Fault | None, response: R) -> R:
    if fault is not None:
        raise fault.error
    return response
