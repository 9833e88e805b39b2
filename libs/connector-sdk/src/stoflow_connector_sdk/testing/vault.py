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


class TokenVault:
    """Hands out tokens, and the grant to refresh to one instance at a time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.accounts: dict[str, AccountTokens] = {}
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
