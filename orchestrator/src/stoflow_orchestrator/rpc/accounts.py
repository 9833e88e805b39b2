"""stoflow.accounts.v1.AccountService."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import grpc.aio
from stoflow.accounts.v1.account_service_pb2 import (
    BeginConnectRequest,
    BeginConnectResponse,
    CancelConnectRequest,
    CancelConnectResponse,
    CompleteConnectRequest,
    CompleteConnectResponse,
    CreateAccountRequest,
    CreateAccountResponse,
    GetAccountRequest,
    GetAccountResponse,
    GetSyncPoliciesRequest,
    GetSyncPoliciesResponse,
    ListAccountsRequest,
    ListAccountsResponse,
    ReconnectAccountRequest,
    ReconnectAccountResponse,
    SetSyncPolicyRequest,
    SetSyncPolicyResponse,
)
from stoflow.accounts.v1.account_service_pb2_grpc import AccountServiceServicer
from stoflow.accounts.v1.pairing_pb2 import (
    CreatePairingCodeRequest,
    CreatePairingCodeResponse,
    ListPairingsRequest,
    ListPairingsResponse,
    RevokePairingRequest,
    RevokePairingResponse,
)

from stoflow_orchestrator.services.accounts import AccountService
from stoflow_orchestrator.services.connections import ConnectionService
from stoflow_orchestrator.services.pairings import PairingService
from stoflow_orchestrator.services.sync_policies import SyncPolicies

_Context = grpc.aio.ServicerContext[Any, Any]


class AccountServicer(AccountServiceServicer):
    """Serves AccountService."""

    def __init__(
        self,
        accounts: AccountService,
        connections: ConnectionService,
        policies: SyncPolicies,
        pairings: PairingService,
    ) -> None:
        self._accounts = accounts
        self._connections = connections
        self._policies = policies
        self._pairings = pairings

    async def CreateAccount(self, request: CreateAccountRequest, context: _Context) -> CreateAccountResponse:
        return CreateAccountResponse(account=await self._accounts.create(request))

    async def ReconnectAccount(
        self, request: ReconnectAccountRequest, context: _Context
    ) -> ReconnectAccountResponse:
        return ReconnectAccountResponse(account=await self._accounts.reconnect(request))

    async def BeginConnect(self, request: BeginConnectRequest, context: _Context) -> BeginConnectResponse:
        return await self._connections.begin(request)

    async def CompleteConnect(
        self, request: CompleteConnectRequest, context: _Context
    ) -> CompleteConnectResponse:
        return await self._connections.complete(request)

    async def CancelConnect(self, request: CancelConnectRequest, context: _Context) -> CancelConnectResponse:
        await self._connections.cancel(request)
        return CancelConnectResponse()

    async def GetSyncPolicies(
        self, request: GetSyncPoliciesRequest, context: _Context
    ) -> GetSyncPoliciesResponse:
        return GetSyncPoliciesResponse(policies=await self._policies.list(request))

    async def SetSyncPolicy(self, request: SetSyncPolicyRequest, context: _Context) -> SetSyncPolicyResponse:
        return SetSyncPolicyResponse(policy=await self._policies.set(request))

    async def GetAccount(self, request: GetAccountRequest, context: _Context) -> GetAccountResponse:
        account = await self._accounts.get(request.tenant_id, UUID(request.account_id))
        return GetAccountResponse(account=account)

    async def ListAccounts(self, request: ListAccountsRequest, context: _Context) -> ListAccountsResponse:
        return await self._accounts.list(request)

    async def CreatePairingCode(
        self, request: CreatePairingCodeRequest, context: _Context
    ) -> CreatePairingCodeResponse:
        return await self._pairings.create_code(request)

    async def ListPairings(self, request: ListPairingsRequest, context: _Context) -> ListPairingsResponse:
        return await self._pairings.list(request)

    async def RevokePairing(self, request: RevokePairingRequest, context: _Context) -> RevokePairingResponse:
        await self._pairings.revoke(request)
        return RevokePairingResponse()
