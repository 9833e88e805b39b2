"""The double's pairings and sessions."""

import uuid
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
from stoflow.accounts.v1.account_pb2 import AccountStopReason
from stoflow.connector.v1 import session_pb2 as pb
from stoflow.connector.v1.connector_service_pb2_grpc import ConnectorServiceServicer

from stoflow_service_kit.errors import NotFoundError

_Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(slots=True)
class MemoryAccount:
    """An account that a browser acts for.

    Attributes:
        code: The pairing code that is good just now; empty for none.
        tokens: Secrets of paired browsers with their pairing ids and installations.
        holder: Instance and pairing that have the session.
        stop_reason: Why it is stopped; unspecified while it is not.
    """

    account_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    tenant_id: int = 1
    code: str = ""
    tokens: dict[str, tuple[str, str]] = field(default_factory=dict)
    holder: tuple[str, str] | None = None
    epoch: int = 0
    remote_user_id: str = ""
    stop_reason: AccountStopReason.ValueType = AccountStopReason.ACCOUNT_STOP_REASON_UNSPECIFIED


class MemorySessions(ConnectorServiceServicer):
    """The part of ConnectorService that is about sessions; they end only when they are released.

    Attributes:
        accounts: By id; tests add their own.
        session_seconds: How long the callers are told that a session holds.
    """

    accounts: dict[str, MemoryAccount]
    session_seconds: float = 5.0

    def _paired(self, pairing_id: str) -> MemoryAccount:
        for account in self.accounts.values():
            if any(found == pairing_id for found, _ in account.tokens.values()):
                return account
        raise NotFoundError("No such pairing.", reason="PAIRING_NOT_FOUND")

    async def VerifyPairing(  # noqa: N802 - the contract's name
        self,
        request: pb.VerifyPairingRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.VerifyPairingResponse:
        for account in self.accounts.values():
            if request.code and request.code == account.code:
                account.code = ""
                account.tokens[request.token] = (str(uuid.uuid4()), request.client_id)
            pairing_id, client_id = account.tokens.get(request.token, ("", ""))
            if pairing_id and client_id == request.client_id:
                return pb.VerifyPairingResponse(
                    pairing_id=pairing_id,
                    tenant_id=account.tenant_id,
                    account_id=account.account_id,
                    display_name="Wardrobe",
                    stop_reason=account.stop_reason,
                )
        raise NotFoundError("No such code or secret.", reason="PAIRING_NOT_FOUND")

    async def DropPairing(  # noqa: N802 - the contract's name
        self,
        request: pb.DropPairingRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.DropPairingResponse:
        for account in self.accounts.values():
            account.tokens = {t: p for t, p in account.tokens.items() if p[0] != request.pairing_id}
        return pb.DropPairingResponse()

    async def AcquireSession(  # noqa: N802 - the contract's name
        self,
        request: pb.AcquireSessionRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.AcquireSessionResponse:
        account = self._paired(request.pairing_id)
        if account.remote_user_id not in ("", request.remote_user_id):
            return pb.AcquireSessionResponse(decision=pb.SESSION_DECISION_WRONG_USER)
        if account.holder is not None and account.holder[1] != request.pairing_id:
            held = pb.AcquireSessionResponse(decision=pb.SESSION_DECISION_HELD)
            held.retry_delay.FromMilliseconds(100)
            return held
        account.holder = (request.instance_id, request.pairing_id)
        account.remote_user_id = request.remote_user_id
        account.epoch += 1
        granted = pb.AcquireSessionResponse(
            decision=pb.SESSION_DECISION_GRANTED, epoch=account.epoch, stop_reason=account.stop_reason
        )
        granted.lease.FromNanoseconds(int(self.session_seconds * 1e9))
        return granted

    async def RenewSessions(  # noqa: N802 - the contract's name
        self,
        request: pb.RenewSessionsRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.RenewSessionsResponse:
        return pb.RenewSessionsResponse(
            is_held=[self._holds(request.instance_id, s) for s in request.sessions]
        )

    async def ReleaseSession(  # noqa: N802 - the contract's name
        self,
        request: pb.ReleaseSessionRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.ReleaseSessionResponse:
        if self._holds(request.instance_id, request.session):
            self.accounts[request.session.account_id].holder = None
        return pb.ReleaseSessionResponse()

    def _holds(self, instance_id: str, session: pb.Session) -> bool:
        account = self.accounts.get(session.account_id)
        return (
            account is not None
            and account.epoch == session.epoch
            and account.holder is not None
            and account.holder[0] == instance_id
        )

    async def StopAccount(  # noqa: N802 - the contract's name
        self,
        request: pb.StopAccountRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.StopAccountResponse:
        self.accounts[request.account_id].stop_reason = request.reason
        return pb.StopAccountResponse()

    async def ResumeStoppedAccount(  # noqa: N802 - the contract's name
        self,
        request: pb.ResumeStoppedAccountRequest,
        context: _Context,  # noqa: ARG002
    ) -> pb.ResumeStoppedAccountResponse:
        account = self.accounts[request.account_id]
        account.stop_reason = AccountStopReason.ACCOUNT_STOP_REASON_UNSPECIFIED
        return pb.ResumeStoppedAccountResponse()
