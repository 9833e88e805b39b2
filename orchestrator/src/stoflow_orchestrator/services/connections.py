"""Brings sellers' accounts into connection: the consent, its answer, and the job that exchanges the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from google.protobuf.json_format import MessageToDict
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from stoflow.accounts.v1 import account_service_pb2 as rpc
from stoflow.connector.v1.manifest_pb2 import Manifest
from stoflow.jobs.v1.job_pb2 import PRIORITY_CRITICAL, Job
from stoflow.jobs.v1.job_service_pb2 import CreateJobRequest
from uuid_utils.compat import uuid7

from stoflow_orchestrator.messages.account import account_message
from stoflow_orchestrator.messages.times import to_timestamp
from stoflow_orchestrator.repositories.account import AccountRepository
from stoflow_orchestrator.repositories.connection import ConnectionRepository
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.mutation import MutationRepository
from stoflow_orchestrator.services.accounts import (
    CONNECT_ACTION,
    account_not_connected,
    get_account,
    newest_manifest,
    settings_violations,
)
from stoflow_orchestrator.services.consents import ask_consent, open_consent, seal_consent, state_sha256
from stoflow_orchestrator.services.idempotency import claim_mutation, describe_mutation
from stoflow_orchestrator.services.job_creation import JobCreation
from stoflow_orchestrator.services.job_reading import JobReading
from stoflow_orchestrator.services.secret_box import SecretBox
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_orchestrator.storable import check_storable
from stoflow_service_kit.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    PreconditionViolation,
)
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

# A seller logs in, finds the second factor and reads what is asked for.
CONSENT_SECONDS = 20 * 60
# Longer than the connect job lives.
EXCHANGE_SECONDS = 15 * 60
_DENIED = "denied"


@dataclass(frozen=True, slots=True)
class ConnectionJobs:
    """Makes connect jobs and reads them."""

    creation: JobCreation
    reading: JobReading


class ConnectionService:
    """Serves BeginConnect, CompleteConnect and CancelConnect."""

    def __init__(
        self, database: Database, tenants: TenantDirectory, box: SecretBox, jobs: ConnectionJobs
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._box = box
        self._jobs = jobs

    async def begin(self, request: rpc.BeginConnectRequest) -> rpc.BeginConnectResponse:
        """Asks for a consent: makes the state and the address of the page.

        Raises:
            InvalidArgumentError: Every wrong field.
            NotFoundError: TENANT_NOT_FOUND, ACCOUNT_NOT_FOUND or MARKETPLACE_NOT_FOUND.
            FailedPreconditionError: CONNECT_NOT_SUPPORTED, ACCOUNT_NOT_CONNECTED or CONNECT_STATE_INVALID.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        check_storable(request)
        await self._tenants.require(request.tenant_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(uuid7()))
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            first = await claim_mutation(connection, mutation)
            connection_id = UUID(first or mutation.result_id)
            if first is None:
                await self._ask(connection, connection_id, request)
            row = await ConnectionRepository(connection).find(connection_id)
            if row is None or row.status != "CONSENT":
                raise _state_invalid()
            account = await get_account(connection, row.account_id)
        consent = open_consent(self._box, request.tenant_id, connection_id, bytes(row.secret))
        return rpc.BeginConnectResponse(
            account=account_message(request.tenant_id, account),
            consent_url=consent.consent_url,
            state=consent.state,
            expire_time=to_timestamp(row.expire_time),
        )

    async def _ask(
        self, connection: AsyncConnection, connection_id: UUID, request: rpc.BeginConnectRequest
    ) -> None:
        if request.WhichOneof("target") == "marketplace":
            manifest = await newest_manifest(connection, request.marketplace)
            account_id = await _insert_account(connection, manifest, request)
        else:
            account = await get_account(connection, UUID(request.account_id))
            if account.state == "ERASED":
                raise account_not_connected(account)
            manifest = await newest_manifest(connection, account.marketplace)
            account_id = account.account_id
        if not manifest.HasField("oauth") or all(a.name != CONNECT_ACTION for a in manifest.actions):
            raise _not_supported(manifest)
        consent = ask_consent(manifest.oauth, request.redirect_uri)
        await ConnectionRepository(connection).begin(
            {
                "connection_id": connection_id,
                "tenant_id": request.tenant_id,
                "account_id": account_id,
                "state_sha256": state_sha256(consent.state),
                "redirect_uri": request.redirect_uri,
                "secret": seal_consent(self._box, request.tenant_id, connection_id, consent),
            },
            CONSENT_SECONDS,
        )

    async def complete(self, request: rpc.CompleteConnectRequest) -> rpc.CompleteConnectResponse:
        """Takes the marketplace's answer: a code becomes a job, a refusal ends the state.

        Raises:
            InvalidArgumentError: Every wrong field.
            NotFoundError: TENANT_NOT_FOUND, ACCOUNT_NOT_FOUND or MARKETPLACE_NOT_FOUND.
            FailedPreconditionError: CONNECT_STATE_INVALID or CONSENT_DENIED.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        check_storable(request)
        await self._tenants.require(request.tenant_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, "")
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            outcome = await claim_mutation(connection, mutation)
            if outcome is None:
                outcome = await self._take_answer(connection, request)
                await MutationRepository(connection).set_result(mutation, outcome)
        if outcome == _DENIED:
            # After the commit: a refused state is worth nothing any more.
            raise _denied(request.error)
        account_id, _, connection_id = outcome.partition("/")
        # Beside the transaction: jobs are made by the committer. Whoever dies in between is asked again.
        job = await self._make_job(request.tenant_id, account_id, connection_id)
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            account = await get_account(connection, UUID(account_id))
        return rpc.CompleteConnectResponse(account=account_message(request.tenant_id, account), job=job)

    async def _take_answer(self, connection: AsyncConnection, request: rpc.CompleteConnectRequest) -> str:
        connections = ConnectionRepository(connection)
        row = await connections.lock_by_state(state_sha256(request.state))
        if row is None or row.tenant_id != request.tenant_id or row.status != "CONSENT":
            raise _state_invalid()
        if request.WhichOneof("answer") == "error":
            await forget_consent(connection, row)
            return _DENIED
        consent = open_consent(self._box, row.tenant_id, row.connection_id, bytes(row.secret))
        sealed = seal_consent(self._box, row.tenant_id, row.connection_id, consent.with_code(request.code))
        await connections.keep_code(row.connection_id, sealed, EXCHANGE_SECONDS)
        await AccountRepository(connection).expect_connection(row.account_id, EXCHANGE_SECONDS)
        return f"{row.account_id}/{row.connection_id}"

    async def _make_job(self, tenant_id: int, account_id: str, connection_id: str) -> Job:
        try:
            return await self._jobs.creation.create(
                CreateJobRequest(
                    request_id=connection_id,
                    tenant_id=tenant_id,
                    account_id=account_id,
                    action=CONNECT_ACTION,
                    priority=PRIORITY_CRITICAL,
                )
            )
        except AlreadyExistsError as error:
            if error.reason != "JOB_EXISTS":
                raise
            # One for an earlier consent of the account, which has been replaced: it exchanges the newest code.
            return await self._jobs.reading.get(tenant_id, UUID(error.metadata["job_id"]))

    async def cancel(self, request: rpc.CancelConnectRequest) -> None:
        """Makes a state worthless; one that is unknown, used or over is left alone.

        Raises:
            NotFoundError: TENANT_NOT_FOUND.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        check_storable(request)
        await self._tenants.require(request.tenant_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, "")
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            if await claim_mutation(connection, mutation) is not None:
                return
            row = await ConnectionRepository(connection).lock_by_state(state_sha256(request.state))
            if row is not None and row.tenant_id == request.tenant_id and row.status == "CONSENT":
                await forget_consent(connection, row)


async def forget_consent(connection: AsyncConnection, row: Row[Any]) -> None:
    """Forgets a consent, and with it an account that was never connected."""
    await ConnectionRepository(connection).delete(row.connection_id)
    await forget_unconnected(connection, row.account_id)


async def forget_unconnected(connection: AsyncConnection, account_id: UUID) -> None:
    """Deletes an account that was never connected; nothing of it but its connect job can exist."""
    accounts = AccountRepository(connection)
    if await accounts.lock(account_id):
        account = await accounts.find(account_id)
        if account is not None and account.state == "CONNECTING":
            await accounts.delete(account_id)


async def _insert_account(
    connection: AsyncConnection, manifest: Manifest, request: rpc.BeginConnectRequest
) -> UUID:
    settings = MessageToDict(request.settings)
    # Without settings the connector is to learn them from the marketplace.
    if settings and (violations := settings_violations(manifest, settings)):
        raise InvalidArgumentError(violations)
    account_id: UUID = uuid7()
    account = {
        "account_id": account_id,
        "marketplace": request.marketplace,
        "display_name": request.display_name,
        "sites": list(request.sites),
        "settings": settings,
    }
    await AccountRepository(connection).insert(request.tenant_id, account, state="CONNECTING")
    return account_id


def _state_invalid() -> FailedPreconditionError:
    # One answer for all of them: it tells a stranger nothing of states.
    message = "The state was not given to this tenant, was used, or is over; begin to connect again."
    return _precondition("CONNECT_STATE_INVALID", "state", message)


def _denied(error: str) -> FailedPreconditionError:
    log.info("consent_denied", error=error[:100])
    return _precondition("CONSENT_DENIED", "state", "The consent was refused; begin to connect again.")


def _not_supported(manifest: Manifest) -> FailedPreconditionError:
    message = f"The connector of {manifest.marketplace} does not say how sellers authorize us."
    return _precondition("CONNECT_NOT_SUPPORTED", f"marketplaces/{manifest.marketplace}", message)


def _precondition(reason: str, subject: str, message: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        message, reason=reason, preconditions=[PreconditionViolation(reason, subject, message)]
    )
