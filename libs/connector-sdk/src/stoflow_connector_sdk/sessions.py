"""Accounts that a seller's own browser acts for: which instance holds the browser's connection."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from stoflow.accounts.v1.account_pb2 import AccountStopReason
from stoflow.connector.v1 import session_pb2 as pb

from stoflow_connector_sdk.runtime.calls import CALL_TIMEOUT_SECONDS, CallError, OrchestratorClient
from stoflow_service_kit.background import Background

A = TypeVar("A")

_TRIES = 3
_PREFIX = "ACCOUNT_STOP_REASON_"


class PairingRefusedError(Exception):
    """A pairing code or secret is unknown, used, ended, revoked or another installation's."""


class OrchestratorAwayError(Exception):
    """The orchestrator did not answer; the browser is to come back later."""


@dataclass(frozen=True, slots=True)
class PairedAccount:
    """What a paired browser may act for.

    Attributes:
        stop_reason: "SESSION_EXPIRED" or "NEEDS_HUMAN" while the account is stopped, else empty.
    """

    pairing_id: str
    tenant_id: int
    account_id: str
    display_name: str = field(repr=False)
    stop_reason: str = ""


@dataclass(frozen=True, slots=True)
class SessionGrant:
    """The answer to the wish for an account's session.

    Attributes:
        decision: "GRANTED", "HELD" or "WRONG_USER".
        epoch: With GRANTED.
        lease_seconds: With GRANTED: how long it holds without a renewal.
        retry_seconds: With HELD: when to ask again.
        stop_reason: As in PairedAccount.
    """

    decision: str
    epoch: int = 0
    lease_seconds: float = 0.0
    retry_seconds: float = 0.0
    stop_reason: str = ""


class SessionClient:
    """The part of ConnectorService that is about sessions, for one instance."""

    def __init__(self, client: OrchestratorClient, instance_id: str, marketplace: str) -> None:
        self._client = client
        self._instance_id = instance_id
        self._marketplace = marketplace

    async def verify_pairing(
        self, token: str, client_id: str, *, code: str = "", client_name: str = ""
    ) -> PairedAccount:
        """Exchanges a code for a pairing under a new secret, or recognizes a secret.

        Raises:
            PairingRefusedError: Code or secret is not good.
            OrchestratorAwayError: Nothing is known.
        """
        request = pb.VerifyPairingRequest(
            instance_id=self._instance_id,
            marketplace=self._marketplace,
            code=code,
            token=token,
            client_id=client_id,
            client_name=client_name,
        )
        answer = await self._ask(
            "VerifyPairing",
            lambda: self._client.stub.VerifyPairing(request, timeout=CALL_TIMEOUT_SECONDS),
        )
        return PairedAccount(
            answer.pairing_id,
            answer.tenant_id,
            answer.account_id,
            answer.display_name,
            _reason(answer.stop_reason),
        )

    async def drop_pairing(self, pairing_id: str, token: str) -> None:
        """Revokes a pairing that its browser has forgotten.

        Raises:
            OrchestratorAwayError: It may be that nothing was revoked.
        """
        request = pb.DropPairingRequest(instance_id=self._instance_id, pairing_id=pairing_id, token=token)
        await self._ask(
            "DropPairing", lambda: self._client.stub.DropPairing(request, timeout=CALL_TIMEOUT_SECONDS)
        )

    async def acquire(self, pairing_id: str, token: str, remote_user_id: str) -> SessionGrant:
        """Asks to be the instance at which the account's browser is connected.

        Raises:
            PairingRefusedError: The pairing was revoked.
            OrchestratorAwayError: The session may be held or not; ask again.
        """
        request = pb.AcquireSessionRequest(
            instance_id=self._instance_id,
            pairing_id=pairing_id,
            token=token,
            remote_user_id=remote_user_id,
        )
        answer = await self._ask(
            "AcquireSession",
            lambda: self._client.stub.AcquireSession(request, timeout=CALL_TIMEOUT_SECONDS),
        )
        return SessionGrant(
            pb.SessionDecision.Name(answer.decision).removeprefix("SESSION_DECISION_"),
            answer.epoch,
            answer.lease.ToNanoseconds() / 1e9,
            answer.retry_delay.ToNanoseconds() / 1e9,
            _reason(answer.stop_reason),
        )

    async def renew(self, sessions: dict[str, int]) -> set[str]:
        """Extends sessions, epochs by account; returns the accounts whose session is lost.

        Raises:
            OrchestratorAwayError: Nothing is known.
        """
        held = [pb.Session(account_id=account_id, epoch=epoch) for account_id, epoch in sessions.items()]
        request = pb.RenewSessionsRequest(instance_id=self._instance_id, sessions=held)
        answer = await self._ask(
            "RenewSessions", lambda: self._client.stub.RenewSessions(request, timeout=CALL_TIMEOUT_SECONDS)
        )
        return {
            account_id for account_id, is_held in zip(sessions, answer.is_held, strict=True) if not is_held
        }

    async def release(self, account_id: str, epoch: int) -> None:
        """Gives a session back; when that fails it runs out by itself.

        Raises:
            OrchestratorAwayError: It may still be held.
        """
        request = pb.ReleaseSessionRequest(
            instance_id=self._instance_id, session=pb.Session(account_id=account_id, epoch=epoch)
        )
        await self._ask(
            "ReleaseSession", lambda: self._client.stub.ReleaseSession(request, timeout=CALL_TIMEOUT_SECONDS)
        )

    async def stop_account(self, tenant_id: int, account_id: str, reason: str) -> None:
        """Stops an account until its seller resumes it.

        Args:
            tenant_id: The account's tenant.
            account_id: The account.
            reason: "SESSION_EXPIRED" or "NEEDS_HUMAN".

        Raises:
            OrchestratorAwayError: It may not be stopped.
        """
        request = pb.StopAccountRequest(
            instance_id=self._instance_id,
            tenant_id=tenant_id,
            account_id=account_id,
            reason=AccountStopReason.Value(_PREFIX + reason),
        )
        await self._ask(
            "StopAccount", lambda: self._client.stub.StopAccount(request, timeout=CALL_TIMEOUT_SECONDS)
        )

    async def resume_account(self, tenant_id: int, account_id: str) -> None:
        """Lets an account go on because its seller said so.

        Raises:
            OrchestratorAwayError: It may still be stopped.
        """
        request = pb.ResumeStoppedAccountRequest(
            instance_id=self._instance_id, tenant_id=tenant_id, account_id=account_id
        )
        await self._ask(
            "ResumeStoppedAccount",
            lambda: self._client.stub.ResumeStoppedAccount(request, timeout=CALL_TIMEOUT_SECONDS),
        )

    async def _ask(self, name: str, call: Callable[[], Awaitable[A]]) -> A:
        tries = iter(range(_TRIES - 1))
        try:
            # A browser waits for the answer: it is told to come back rather than left waiting.
            return await self._client.until_answered(
                name, call, may_go_on=lambda: next(tries, None) is not None
            )
        except CallError as error:
            if error.status.reason == "PAIRING_NOT_FOUND":
                raise PairingRefusedError(error.status.message) from error
            raise OrchestratorAwayError(f"{name}: {error.status.message}") from error


class Gateway(Protocol):
    """Where sellers' browsers connect; started and stopped with the connector."""

    @property
    def address(self) -> str:
        """`host:port` once it listens; empty before."""
        ...

    async def start(self, sessions: SessionClient, background: Background) -> None:
        """Begins to listen; the instance is registered by then."""
        ...

    def begin_drain(self) -> None:
        """Takes no more browsers; those that perform something may end it."""
        ...

    async def stop(self) -> None:
        """Gives every session back and closes every connection."""
        ...


def _reason(reason: AccountStopReason.ValueType) -> str:
    return AccountStopReason.Name(reason).removeprefix(_PREFIX) if reason else ""
