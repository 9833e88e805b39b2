"""ConnectorService over gRPC."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import grpc.aio
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import connector_service_pb2_grpc, session_pb2

from stoflow_orchestrator.messages.product_listing import product_listing_message
from stoflow_orchestrator.messages.times import set_timestamp
from stoflow_orchestrator.rpc.credentials import get_authorization, get_credentials, save_credentials
from stoflow_orchestrator.services.authorizations import AuthorizationService
from stoflow_orchestrator.services.connectors import ConnectorService
from stoflow_orchestrator.services.credentials import CredentialService
from stoflow_orchestrator.services.hints import HintService
from stoflow_orchestrator.services.pairings import PairingService
from stoflow_orchestrator.services.product_listings import LeaseHolder, ProductListings
from stoflow_orchestrator.services.sessions import SessionService
from stoflow_orchestrator.services.sync_state import SyncStates

Context = grpc.aio.ServicerContext[Any, Any]


class ConnectorServicer(connector_service_pb2_grpc.ConnectorServiceServicer):
    """Serves ConnectorService."""

    def __init__(
        self,
        connectors: ConnectorService,
        credentials: CredentialService,
        authorizations: AuthorizationService,
        hints: HintService,
        listings: ProductListings,
        syncs: SyncStates,
        sessions: SessionService,
        pairings: PairingService,
    ) -> None:
        self._connectors = connectors
        self._credentials = credentials
        self._authorizations = authorizations
        self._hints = hints
        self._listings = listings
        self._syncs = syncs
        self._sessions = sessions
        self._pairings = pairings

    async def RegisterConnector(
        self, request: rpc.RegisterConnectorRequest, context: Context
    ) -> rpc.RegisterConnectorResponse:
        return await self._connectors.register(request)

    async def StartTasks(self, request: rpc.StartTasksRequest, context: Context) -> rpc.StartTasksResponse:
        return await self._connectors.start(request)

    async def HeartbeatTasks(
        self, request: rpc.HeartbeatTasksRequest, context: Context
    ) -> rpc.HeartbeatTasksResponse:
        return await self._connectors.heartbeat(request)

    async def ReportTasks(self, request: rpc.ReportTasksRequest, context: Context) -> rpc.ReportTasksResponse:
        return await self._connectors.report(request)

    async def ReleaseTasks(
        self, request: rpc.ReleaseTasksRequest, context: Context
    ) -> rpc.ReleaseTasksResponse:
        return await self._connectors.release(request)

    async def GetCredentials(
        self, request: rpc.GetCredentialsRequest, context: Context
    ) -> rpc.GetCredentialsResponse:
        return await get_credentials(self._credentials, request)

    async def SaveCredentials(
        self, request: rpc.SaveCredentialsRequest, context: Context
    ) -> rpc.SaveCredentialsResponse:
        return await save_credentials(self._credentials, self._authorizations, request)

    async def GetAuthorization(
        self, request: rpc.GetAuthorizationRequest, context: Context
    ) -> rpc.GetAuthorizationResponse:
        return await get_authorization(self._authorizations, request)

    async def SubmitHint(self, request: rpc.SubmitHintRequest, context: Context) -> rpc.SubmitHintResponse:
        return await self._hints.submit(request)

    async def EraseAccountData(
        self, request: rpc.EraseAccountDataRequest, context: Context
    ) -> rpc.EraseAccountDataResponse:
        return rpc.EraseAccountDataResponse(account_count=await self._hints.erase(request))

    async def GetListings(self, request: rpc.GetListingsRequest, context: Context) -> rpc.GetListingsResponse:
        found = await self._listings.list_for(_lease_holder(request))
        return rpc.GetListingsResponse(listings=[product_listing_message(row) for row in found])

    async def GetSyncState(
        self, request: rpc.GetSyncStateRequest, context: Context
    ) -> rpc.GetSyncStateResponse:
        state = await self._syncs.get(_lease_holder(request), request.page_size, request.page_token)
        response = rpc.GetSyncStateResponse(next_page_token=state.next_page_token)
        if state.last_complete_time is not None:
            set_timestamp(response.last_complete_time, state.last_complete_time)
        for row in state.listings:
            response.listings.add(remote_id=row.remote_id, sku=row.sku)
        return response

    async def VerifyPairing(
        self, request: session_pb2.VerifyPairingRequest, context: Context
    ) -> session_pb2.VerifyPairingResponse:
        return await self._pairings.verify(request)

    async def DropPairing(
        self, request: session_pb2.DropPairingRequest, context: Context
    ) -> session_pb2.DropPairingResponse:
        await self._pairings.drop(UUID(request.pairing_id), request.token)
        return session_pb2.DropPairingResponse()

    async def AcquireSession(
        self, request: session_pb2.AcquireSessionRequest, context: Context
    ) -> session_pb2.AcquireSessionResponse:
        return await self._sessions.acquire(request)

    async def RenewSessions(
        self, request: session_pb2.RenewSessionsRequest, context: Context
    ) -> session_pb2.RenewSessionsResponse:
        return await self._sessions.renew(request)

    async def ReleaseSession(
        self, request: session_pb2.ReleaseSessionRequest, context: Context
    ) -> session_pb2.ReleaseSessionResponse:
        await self._sessions.release(request)
        return session_pb2.ReleaseSessionResponse()

    async def StopAccount(
        self, request: session_pb2.StopAccountRequest, context: Context
    ) -> session_pb2.StopAccountResponse:
        await self._sessions.stop(request)
        return session_pb2.StopAccountResponse()

    async def ResumeStoppedAccount(
        self, request: session_pb2.ResumeStoppedAccountRequest, context: Context
    ) -> session_pb2.ResumeStoppedAccountResponse:
        await self._sessions.resume(request)
        return session_pb2.ResumeStoppedAccountResponse()


def _lease_holder(request: rpc.GetListingsRequest | rpc.GetSyncStateRequest) -> LeaseHolder:
    return LeaseHolder(
        tenant_id=request.tenant_id,
        job_id=UUID(request.job_id),
        task_id=UUID(request.task_id),
        lease_token=UUID(request.lease_token),
        instance_id=UUID(request.instance_id),
    )
