"""Access tokens for tasks: cached, refreshed once for each account over all processes."""

import asyncio
import contextvars
from collections import OrderedDict
from dataclasses import dataclass, field

import grpc
from stoflow.connector.v1 import connector_service_pb2 as pb

from stoflow_connector_sdk.credentials import Authorization, CodeExchanger, RefreshedTokens, TokenRefresher
from stoflow_connector_sdk.errors import AuthRequiredError, ConnectorError, EffectOutcome, RetryableError
from stoflow_connector_sdk.redaction import known_secrets, remove_secrets
from stoflow_connector_sdk.runtime.authorizations import AuthorizationBroker
from stoflow_connector_sdk.runtime.calls import CALL_TIMEOUT_SECONDS, CallError, OrchestratorClient
from stoflow_connector_sdk.task import TaskContext
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

# A token this close to its end is asked for again, so that a refresh happens before a request meets the end.
FRESH_SECONDS = 120.0
_MAX_ACCOUNTS = 10_000
_MAX_ROUNDS = 60
_NOT_SENT_YET = "no token for the account can be had now"


@dataclass(slots=True)
class _Account:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: str = ""
    expires_at: float = 0.0


class CredentialBroker:
    """Gives access tokens of accounts whose tasks run here.

    Inside this process one task an account asks and the others wait; between processes the orchestrator
    hands the right to refresh to one at a time.
    """

    def __init__(
        self, client: OrchestratorClient, instance_id: str, refresher: TokenRefresher | None, clock: Clock
    ) -> None:
        """Prepares a broker.

        Args:
            client: The orchestrator.
            instance_id: Who asks.
            refresher: Refreshes at the marketplace; None for one without OAuth.
            clock: Time.
        """
        self._client = client
        self._instance_id = instance_id
        self._refresher = refresher
        self._clock = clock
        self._authorizations = AuthorizationBroker(client, instance_id)
        self._accounts: OrderedDict[tuple[int, str], _Account] = OrderedDict()
        self._refreshes: set[asyncio.Task[str]] = set()

    async def get_access_token(self, task: TaskContext, refused: str = "") -> str:
        """Returns a token that is not the refused one.

        Raises:
            AuthRequiredError: The account must be connected again.
            RetryableError: No token can be had now.
        """
        account = self._account(task)
        if (token := self._cached(account, refused)) is not None:
            return token
        try:
            async with account.lock:
                # Whoever held the lock may have brought what is wanted.
                if (token := self._cached(account, refused)) is not None:
                    return token
                return await self._obtain(task, account, refused)
        except ConnectorError as error:
            error.effect = _effect_of(task)
            raise

    async def get_authorization(self, task: TaskContext) -> Authorization | None:
        """Returns the code that a connect task is to exchange; None when an earlier attempt has."""
        return await self._authorizations.get_authorization(task)

    async def connect_account(
        self, task: TaskContext, authorization: Authorization, exchanger: CodeExchanger
    ) -> None:
        """Exchanges a code and saves what it gives."""
        await self._authorizations.connect_account(task, authorization, exchanger)
        # Those of before are worth nothing.
        self._accounts.pop((task.tenant_id, task.account_id), None)

    async def close(self) -> None:
        """Lets refreshes and exchanges that run come to their end: a token that is not saved is lost."""
        if self._refreshes:
            await asyncio.wait(self._refreshes, timeout=CALL_TIMEOUT_SECONDS)
        await self._authorizations.close()

    def _account(self, task: TaskContext) -> _Account:
        key = (task.tenant_id, task.account_id)
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = _Account()
            if len(self._accounts) > _MAX_ACCOUNTS:
                self._accounts.popitem(last=False)
        self._accounts.move_to_end(key)
        return account

    def _cached(self, account: _Account, refused: str) -> str | None:
        is_fresh = account.expires_at - self._clock.now().timestamp() > FRESH_SECONDS
        return account.token if account.token and is_fresh and account.token != refused else None

    async def _obtain(self, task: TaskContext, account: _Account, refused: str) -> str:
        for _ in range(_MAX_ROUNDS):
            answer = await self._ask(task, refused)
            kind = answer.WhichOneof("credentials")
            if kind == "access_token":
                account.token = answer.access_token.value
                account.expires_at = answer.access_token.expire_time.ToNanoseconds() / 1e9
                known_secrets.add(account.token)
                return account.token
            if kind == "refresh_grant":
                token = await self._refresh(task, account, answer.refresh_grant)
                if token:
                    return token
                # The grant was lost: whoever has it now saves tokens, which the next round finds.
                continue
            delay = max(answer.retry_after.ToNanoseconds() / 1e9, 0.05)
            if delay >= task.lease.remaining_seconds():
                break
            await task.wait(delay)
        raise RetryableError(
            f"The account's tokens are being refreshed elsewhere: {_NOT_SENT_YET}.", code="NO_TOKEN"
        )

    async def _ask(self, task: TaskContext, refused: str) -> pb.GetCredentialsResponse:
        request = pb.GetCredentialsRequest(
            instance_id=self._instance_id,
            tenant_id=task.tenant_id,
            account_id=task.account_id,
            job_id=task.job_id,
            task_id=task.task_id,
            lease_token=task.lease_token,
            refused_access_token=refused,
        )
        try:
            return await self._client.until_answered(
                "GetCredentials",
                lambda: self._client.stub.GetCredentials(request, timeout=CALL_TIMEOUT_SECONDS),
                # Without a lease there is nothing left to do with a token.
                may_go_on=lambda: task.lease.remaining_seconds() > 0,
            )
        except CallError as error:
            if error.status.reason == "ACCOUNT_RECONNECT_REQUIRED":
                raise AuthRequiredError(
                    "The account must be connected again.", code=error.status.reason
                ) from error
            code = error.status.reason or error.status.code.name
            raise RetryableError(
                f"The orchestrator gave no token: {error.status.message}", code=code
            ) from error

    async def _refresh(self, task: TaskContext, account: _Account, grant: pb.RefreshGrant) -> str:
        known_secrets.add(grant.refresh_token)
        # A task and a context of its own: the end of the task that happened to ask must not lose a token
        # that the marketplace has rotated already, and the refresh is no request that the task's lease or
        # effect knows of.
        running = asyncio.get_running_loop().create_task(
            self._refresh_and_save(task.tenant_id, task.account_id, account, grant),
            name="refresh-tokens",
            context=contextvars.Context(),
        )
        self._refreshes.add(running)
        running.add_done_callback(self._forget)
        return await asyncio.shield(running)

    def _forget(self, running: asyncio.Task[str]) -> None:
        self._refreshes.discard(running)
        if not running.cancelled() and isinstance(error := running.exception(), Exception):
            # Usually its asker raises it too; when that one is gone, this line is all that is left.
            log.info("refresh_failed", error=remove_secrets(str(error)))

    async def _refresh_and_save(
        self, tenant_id: int, account_id: str, account: _Account, grant: pb.RefreshGrant
    ) -> str:
        save = pb.SaveCredentialsRequest(
            instance_id=self._instance_id, tenant_id=tenant_id, account_id=account_id, grant_id=grant.grant_id
        )
        try:
            tokens = await self._ask_marketplace(grant)
        except AuthRequiredError as error:
            save.refused.message = remove_secrets(error.message)[:1000]
            if await self._save(save):
                raise
            # Somebody else has the grant, and perhaps a newer refresh token than the one refused here.
            return ""
        except Exception:
            save.abandoned.SetInParent()
            await self._save(save)
            raise
        known_secrets.add(tokens.access_token, tokens.refresh_token)
        save.refreshed.access_token = tokens.access_token
        save.refreshed.refresh_token = tokens.refresh_token
        save.refreshed.access_token_expire_time.FromDatetime(tokens.expire_time)
        if not await self._save(save):
            return ""
        account.token = tokens.access_token
        account.expires_at = tokens.expire_time.timestamp()
        return tokens.access_token

    async def _ask_marketplace(self, grant: pb.RefreshGrant) -> RefreshedTokens:
        if self._refresher is None:
            raise RetryableError("This connector cannot refresh tokens.", code="NO_TOKEN_REFRESHER")
        try:
            # After the grant's lease another process may refresh, and a rotated token may be used only once.
            async with asyncio.timeout(grant.lease.ToNanoseconds() / 1e9):
                return await self._refresher.refresh(grant.refresh_token)
        except ConnectorError:
            raise
        except TimeoutError as error:
            raise RetryableError(
                "The marketplace did not refresh the tokens in time.", code="REFRESH_TIMEOUT"
            ) from error
        except Exception as error:
            raise RetryableError(
                f"Refreshing the tokens failed: {type(error).__name__}: {error}", code="REFRESH_FAILED"
            ) from error

    async def _save(self, request: pb.SaveCredentialsRequest) -> bool:
        """Returns whether the tokens were stored; false when the grant is another's by now."""
        try:
            await self._client.until_answered(
                "SaveCredentials",
                lambda: self._client.stub.SaveCredentials(request, timeout=CALL_TIMEOUT_SECONDS),
            )
        except CallError as error:
            log.warning("tokens_not_saved", account_id=request.account_id, error=str(error))
            if error.status.code is grpc.StatusCode.FAILED_PRECONDITION:
                return False
            raise RetryableError(
                "The refreshed tokens could not be saved.", code="TOKENS_NOT_SAVED"
            ) from error
        return True


def _effect_of(task: TaskContext) -> EffectOutcome:
    # Asking for a token sends nothing to the marketplace, but the attempt may have sent something before.
    return EffectOutcome.UNKNOWN if task.state.possible_effects else EffectOutcome.NOT_SENT
