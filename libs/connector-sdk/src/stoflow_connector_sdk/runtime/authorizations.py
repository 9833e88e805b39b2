"""Authorization codes for connect tasks: fetched under the lease, exchanged once, saved before anything else."""

import asyncio
import contextvars

from stoflow.connector.v1 import connector_service_pb2 as pb

from stoflow_connector_sdk.connection import EXCHANGE_SECONDS
from stoflow_connector_sdk.credentials import Authorization, CodeExchanger, ConnectedAccount
from stoflow_connector_sdk.errors import AuthRequiredError, ConnectorError, PermanentError, RetryableError
from stoflow_connector_sdk.redaction import known_secrets, remove_secrets
from stoflow_connector_sdk.runtime.calls import CALL_TIMEOUT_SECONDS, CallError, OrchestratorClient
from stoflow_connector_sdk.task import TaskContext
from stoflow_service_kit.errors import InvalidArgumentError
from stoflow_service_kit.grpc_status import RichError
from stoflow_service_kit.grpc_validation import check_message
from stoflow_service_kit.logs import get_logger
from stoflow_service_kit.structs import fill_struct

log = get_logger(__name__)

# The seller must begin again; what else is refused may be cured by time.
_FINAL_REASONS = frozenset(
    {"AUTHORIZATION_GONE", "REMOTE_ACCOUNT_EXISTS", "REMOTE_ACCOUNT_MISMATCH", "GRANT_LOST"}
)


class AuthorizationBroker:
    """Serves connect tasks that run here."""

    def __init__(self, client: OrchestratorClient, instance_id: str) -> None:
        self._client = client
        self._instance_id = instance_id
        self._exchanges: set[asyncio.Task[None]] = set()

    async def get_authorization(self, task: TaskContext) -> Authorization | None:
        """Returns the code to exchange; None when an earlier attempt has done it.

        Raises:
            PermanentError: There is none any more.
            RetryableError: None can be had now.
        """
        request = pb.GetAuthorizationRequest(
            instance_id=self._instance_id,
            tenant_id=task.tenant_id,
            account_id=task.account_id,
            job_id=task.job_id,
            task_id=task.task_id,
            lease_token=task.lease_token,
        )
        try:
            answer = await self._client.until_answered(
                "GetAuthorization",
                lambda: self._client.stub.GetAuthorization(request, timeout=CALL_TIMEOUT_SECONDS),
                may_go_on=lambda: task.lease.remaining_seconds() > 0,
            )
        except CallError as error:
            raise _error_of(error.status) from error
        if answer.WhichOneof("result") != "authorization":
            return None
        found = answer.authorization
        known_secrets.add(found.code, found.code_verifier)
        return Authorization(found.grant_id, found.code, found.redirect_uri, found.code_verifier)

    async def connect_account(
        self, task: TaskContext, authorization: Authorization, exchanger: CodeExchanger
    ) -> None:
        """Exchanges a code and saves what it gives.

        Raises:
            PermanentError: Refused: the seller must begin again.
            RetryableError: The marketplace or the orchestrator did not answer.
        """
        # A task and a context of its own: the end of the attempt must not lose tokens that exist nowhere else, and the
        # exchange is no request that the attempt's lease or effect knows of.
        running = asyncio.get_running_loop().create_task(
            self._exchange_and_save(task.tenant_id, task.account_id, authorization, exchanger),
            name="exchange-code",
            context=contextvars.Context(),
        )
        self._exchanges.add(running)
        running.add_done_callback(self._forget)
        try:
            await asyncio.shield(running)
        except PermanentError:
            # Refused because an earlier attempt, whose lease is gone, has exchanged it and saved.
            if not await self._is_connected(task):
                raise

    async def _is_connected(self, task: TaskContext) -> bool:
        try:
            return await self.get_authorization(task) is None
        except ConnectorError:
            # The refusal itself says more than this.
            return False

    async def close(self) -> None:
        """Lets exchanges that run come to their end."""
        if self._exchanges:
            await asyncio.wait(self._exchanges, timeout=CALL_TIMEOUT_SECONDS)

    def _forget(self, running: asyncio.Task[None]) -> None:
        self._exchanges.discard(running)
        if not running.cancelled() and isinstance(error := running.exception(), Exception):
            # Usually its asker raises it too; when that one is gone, this line is all that is left.
            log.info("exchange_failed", error=remove_secrets(str(error)))

    async def _exchange_and_save(
        self, tenant_id: int, account_id: str, authorization: Authorization, exchanger: CodeExchanger
    ) -> None:
        save = pb.SaveCredentialsRequest(
            instance_id=self._instance_id,
            tenant_id=tenant_id,
            account_id=account_id,
            grant_id=authorization.grant_id,
        )
        try:
            connected = await _ask_marketplace(authorization, exchanger)
            _fill_connected(save.connected, connected)
        except (AuthRequiredError, PermanentError) as error:
            save.refused.message = remove_secrets(error.message)[:1000]
            await self._save(save)
            if isinstance(error, PermanentError):
                raise
            raise PermanentError(
                f"The marketplace refused the authorization: {error.message}",
                code=error.code or "AUTHORIZATION_REFUSED",
                http_status=error.http_status,
                raw_body=error.raw_body,
                effect=error.effect,
            ) from error
        await self._save(save)

    async def _save(self, request: pb.SaveCredentialsRequest) -> None:
        try:
            await self._client.until_answered(
                "SaveCredentials",
                lambda: self._client.stub.SaveCredentials(request, timeout=CALL_TIMEOUT_SECONDS),
            )
        except CallError as error:
            log.warning("account_not_connected", account_id=request.account_id, reason=error.status.reason)
            raise _error_of(error.status) from error


async def _ask_marketplace(authorization: Authorization, exchanger: CodeExchanger) -> ConnectedAccount:
    try:
        async with asyncio.timeout(EXCHANGE_SECONDS):
            connected = await exchanger.exchange(
                authorization.code, authorization.redirect_uri, authorization.code_verifier
            )
    except ConnectorError:
        raise
    except TimeoutError as error:
        raise RetryableError(
            "The marketplace did not exchange the code in time.", code="EXCHANGE_TIMEOUT"
        ) from error
    except Exception as error:
        raise RetryableError(
            f"Exchanging the code failed: {type(error).__name__}: {error}", code="EXCHANGE_FAILED"
        ) from error
    known_secrets.add(connected.tokens.access_token, connected.tokens.refresh_token)
    return connected


def _fill_connected(message: pb.ConnectedAccount, connected: ConnectedAccount) -> None:
    try:
        message.tokens.access_token = connected.tokens.access_token
        message.tokens.refresh_token = connected.tokens.refresh_token
        message.tokens.access_token_expire_time.FromDatetime(connected.tokens.expire_time)
        message.remote_account_id = connected.remote_account_id
        message.display_name = connected.display_name
        message.sites.extend(connected.sites)
        if connected.settings is not None:
            fill_struct(message.settings, connected.settings)
        check_message(message)
    except (InvalidArgumentError, ValueError) as error:
        raise PermanentError(
            f"The marketplace's answer cannot be used: {error}", code="EXCHANGE_INVALID"
        ) from error


def _error_of(status: RichError) -> ConnectorError:
    if status.reason in _FINAL_REASONS:
        return PermanentError(status.message, code=status.reason)
    code = status.reason or status.code.name
    return RetryableError(f"The orchestrator did not connect the account: {status.message}", code=code)
