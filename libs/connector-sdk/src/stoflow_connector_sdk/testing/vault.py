"""The double's account tokens and the right to refresh them."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from stoflow.connector.v1 import connector_service_pb2 as pb

from stoflow_service_kit.errors import FailedPreconditionError


@dataclass(eq=False)
class AccountTokens:
    """Tokens of one account; times are seconds since 1970."""

    access_token: str
    refresh_token: str
    expires_at: float
    is_reconnect_required: bool = False
    grant_id: str = ""
    grant_holder: str = ""
    grant_end: float = 0.0
    remote_account_id: str = ""
    connected: pb.ConnectedAccount | None = None


@dataclass(eq=False)
class PendingAuthorization:
    """A code that waits for its exchange; `refusal` is what the connector said of it in the end."""

    code: str
    redirect_uri: str
    code_verifier: str
    grant_id: str
    is_done: bool = False
    refusal: str | None = None


class TokenVault:
    """Hands out tokens, and the grant to refresh to one instance at a time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.accounts: dict[str, AccountTokens] = {}
        self.authorizations: dict[str, PendingAuthorization] = {}
        self.grants = 0
        self.grant_seconds = 10.0
        self.retry_seconds = 0.05
        self._now = now

    def get(self, request: pb.GetCredentialsRequest) -> pb.GetCredentialsResponse:
        """Decides what one caller gets.

        Raises:
            FailedPreconditionError: The account must be connected again.
        """
        tokens = self.accounts[request.account_id]
        if tokens.is_reconnect_required:
            raise FailedPreconditionError("Connect again.", reason="ACCOUNT_RECONNECT_REQUIRED")
        response = pb.GetCredentialsResponse()
        if tokens.expires_at > self._now() and tokens.access_token != request.refused_access_token:
            response.access_token.value = tokens.access_token
            response.access_token.expire_time.FromNanoseconds(int(tokens.expires_at * 1e9))
        elif tokens.grant_end > self._now() and tokens.grant_holder != request.instance_id:
            response.retry_after.FromNanoseconds(int(self.retry_seconds * 1e9))
        else:
            if tokens.grant_end <= self._now():
                tokens.grant_id, self.grants = str(uuid.uuid4()), self.grants + 1
            tokens.grant_holder = request.instance_id
            tokens.grant_end = self._now() + self.grant_seconds
            response.refresh_grant.grant_id = tokens.grant_id
            response.refresh_grant.refresh_token = tokens.refresh_token
            response.refresh_grant.lease.FromNanoseconds(int(self.grant_seconds * 1e9))
        return response

    def save(self, request: pb.SaveCredentialsRequest) -> None:
        """Stores what a refresh gave.

        Raises:
            FailedPreconditionError: The grant is another's, or over.
        """
        pending = self.authorizations.get(request.account_id)
        if pending is not None and pending.grant_id == request.grant_id:
            self._connect(pending, request)
            return
        tokens = self.accounts[request.account_id]
        if tokens.grant_id != request.grant_id:
            raise FailedPreconditionError("The grant is lost.", reason="GRANT_LOST")
        tokens.grant_end = 0.0
        if request.HasField("refreshed"):
            tokens.access_token = request.refreshed.access_token
            tokens.refresh_token = request.refreshed.refresh_token or tokens.refresh_token
            tokens.expires_at = request.refreshed.access_token_expire_time.ToNanoseconds() / 1e9
        elif request.HasField("refused"):
            tokens.is_reconnect_required = True

    def authorize(self, account_id: str) -> pb.GetAuthorizationResponse:
        """Gives out a code that waits.

        Raises:
            FailedPreconditionError: There is none, or it was refused.
        """
        pending = self.authorizations.get(account_id)
        if pending is None or pending.refusal is not None:
            raise FailedPreconditionError("Begin again.", reason="AUTHORIZATION_GONE")
        response = pb.GetAuthorizationResponse()
        if pending.is_done:
            response.already_connected.SetInParent()
            return response
        response.authorization.grant_id = pending.grant_id
        response.authorization.code = pending.code
        response.authorization.redirect_uri = pending.redirect_uri
        response.authorization.code_verifier = pending.code_verifier
        return response

    def _connect(self, pending: PendingAuthorization, request: pb.SaveCredentialsRequest) -> None:
        if not request.HasField("connected"):
            # What another attempt has saved stays.
            pending.refusal = None if pending.is_done else request.refused.message
            return
        connected = request.connected
        stored = self.accounts.get(request.account_id)
        if stored is not None and stored.remote_account_id not in ("", connected.remote_account_id):
            pending.refusal = "another seller"
            raise FailedPreconditionError("Another seller consented.", reason="REMOTE_ACCOUNT_MISMATCH")
        pending.is_done = True
        self.accounts[request.account_id] = AccountTokens(
            connected.tokens.access_token,
            connected.tokens.refresh_token,
            connected.tokens.access_token_expire_time.ToNanoseconds() / 1e9,
            remote_account_id=connected.remote_account_id,
            connected=connected,
        )
