"""Authorization codes for connectors that hold a lease on a connect task, and what they exchange them for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.repositories.account import AccountRepository
from stoflow_orchestrator.repositories.connection import ConnectionRepository
from stoflow_orchestrator.repositories.credential import CredentialRepository
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.services.account_secrets import Tokens, open_tokens, seal_tokens
from stoflow_orchestrator.services.accounts import (
    CONNECT_ACTION,
    MAX_SETTINGS_BYTES,
    ResumeJobs,
    remote_account_exists,
    resume_jobs,
)
from stoflow_orchestrator.services.connections import forget_unconnected
from stoflow_orchestrator.services.consents import open_consent
from stoflow_orchestrator.services.credentials import (
    Abandoned,
    CredentialQuery,
    GrantHolder,
    Refreshed,
    Refused,
    grant_lost,
    precondition,
)
from stoflow_orchestrator.services.secret_box import SecretBox
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError, ServiceError
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """Exchange this, then save."""

    grant_id: UUID
    code: str = field(repr=False)
    redirect_uri: str
    code_verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Connected:
    """What the exchange gave."""

    tokens: Refreshed
    remote_account_id: str = field(repr=False)
    display_name: str = field(repr=False)
    sites: Sequence[str]
    settings: Mapping[str, Any] = field(repr=False)


ExchangeOutcome = Connected | Refused | Abandoned


class AuthorizationService:
    """Serves GetAuthorization, and SaveCredentials with its grants."""

    def __init__(
        self, database: Database, tenants: TenantDirectory, box: SecretBox, resume_jobs: ResumeJobs
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._box = box
        self._resume_jobs = resume_jobs

    async def get(self, query: CredentialQuery) -> AuthorizationCode | None:
        """Returns the code to exchange; None when an earlier attempt has exchanged and saved it.

        Raises:
            NotFoundError: TENANT_NOT_FOUND.
            FailedPreconditionError: LEASE_REQUIRED or AUTHORIZATION_GONE.
        """
        await self._tenants.require(query.tenant_id)
        async with self._database.tenant_transaction(query.tenant_id) as connection:
            if not await CredentialRepository(connection).holds_lease(
                tenant_id=query.tenant_id,
                account_id=query.account_id,
                job_id=query.job_id,
                task_id=query.task_id,
                lease_token=query.lease_token,
                instance_id=query.instance_id,
                action=CONNECT_ACTION,
            ):
                message = "The caller holds no lease on a connect task of this account."
                raise precondition("LEASE_REQUIRED", message, query.account_id)
            row = await ConnectionRepository(connection).find_of_account(query.account_id)
        if row is not None and row.status == "CONNECTED":
            return None
        if row is None or row.status != "CODE":
            message = "There is no authorization code for the account any more; the seller must begin again."
            raise precondition("AUTHORIZATION_GONE", message, query.account_id)
        consent = open_consent(self._box, query.tenant_id, row.connection_id, bytes(row.secret))
        return AuthorizationCode(row.connection_id, consent.code, row.redirect_uri, consent.code_verifier)

    async def save(self, holder: GrantHolder, outcome: ExchangeOutcome) -> bool:
        """Stores what an exchange gave; the same outcome under the same grant may be handed in again.

        Returns:
            False when the grant is none of an authorization code.

        Raises:
            InvalidArgumentError: Settings too large, or no refresh token.
            NotFoundError: TENANT_NOT_FOUND.
            FailedPreconditionError: GRANT_LOST or REMOTE_ACCOUNT_MISMATCH; with the latter the code is spent.
            AlreadyExistsError: REMOTE_ACCOUNT_EXISTS; the code is spent.
        """
        await self._tenants.require(holder.tenant_id)
        async with self._database.tenant_transaction(holder.tenant_id) as connection:
            # The consent before the gate, as everywhere.
            row = await ConnectionRepository(connection).lock(holder.grant_id)
            if row is None or (row.tenant_id, row.account_id) != (holder.tenant_id, holder.account_id):
                return False
            refusal = await self._settle(connection, row, holder, outcome)
        if refusal is not None:
            # After the commit: the code is spent, whoever else has it.
            raise refusal
        if isinstance(outcome, Connected):
            log.info("account_connected", tenant_id=holder.tenant_id, account_id=str(holder.account_id))
            await resume_jobs(self._resume_jobs, holder.account_id)
        return True

    async def _settle(
        self, connection: AsyncConnection, row: Row[Any], holder: GrantHolder, outcome: ExchangeOutcome
    ) -> ServiceError | None:
        if isinstance(outcome, Connected):
            return await self._connect(connection, row, holder, outcome)
        if isinstance(outcome, Refused) and row.status == "CODE":
            await _refuse(connection, row)
            log.info("authorization_refused", tenant_id=holder.tenant_id, account_id=str(holder.account_id))
        return None

    async def _connect(
        self, connection: AsyncConnection, row: Row[Any], holder: GrantHolder, connected: Connected
    ) -> ServiceError | None:
        tokens = Tokens(connected.tokens.access_token, connected.tokens.refresh_token)
        stored = await CredentialRepository(connection).lock(holder.account_id)
        if row.status == "CONNECTED" and stored is not None and stored.credentials is not None:
            # The same tokens again: their answer was lost.
            if (
                open_tokens(self._box, holder.tenant_id, holder.account_id, bytes(stored.credentials))
                == tokens
            ):
                return None
        if row.status != "CODE" or stored is None:
            return grant_lost(holder.account_id)
        account = await AccountRepository(connection).find(holder.account_id)
        if account is None:
            return grant_lost(holder.account_id)
        settings = {**connected.settings, **account.settings}
        _check(connected, settings)
        refusal = await _find_refusal(connection, holder, account, connected)
        if refusal is not None:
            await _refuse(connection, row)
            return refusal
        await AccountRepository(connection).describe(
            holder.account_id,
            display_name=account.display_name or connected.display_name or connected.remote_account_id,
            sites=account.sites or connected.sites,
            settings=settings,
        )
        await self._store(connection, holder, connected, tokens)
        await ConnectionRepository(connection).settle(row.connection_id, "CONNECTED")
        return None

    async def _store(
        self, connection: AsyncConnection, holder: GrantHolder, connected: Connected, tokens: Tokens
    ) -> None:
        accounts = AccountRepository(connection)
        sealed = seal_tokens(self._box, holder.tenant_id, holder.account_id, tokens)
        await CredentialRepository(connection).replace(
            holder.account_id, sealed, connected.tokens.expire_time
        )
        await accounts.set_seller(holder.account_id, connected.remote_account_id)
        await accounts.set_state(holder.account_id, "CONNECTED")


def _check(connected: Connected, settings: Mapping[str, Any]) -> None:
    violations = []
    if not connected.tokens.refresh_token:
        violations.append(FieldViolation("connected.tokens.refresh_token", "must not be empty"))
    if len(json.dumps(settings).encode()) > MAX_SETTINGS_BYTES:
        violations.append(
            FieldViolation(
                "connected.settings", f"must not be larger than {MAX_SETTINGS_BYTES // 1024} KiB as JSON"
            )
        )
    if violations:
        raise InvalidArgumentError(violations)


async def _find_refusal(
    connection: AsyncConnection, holder: GrantHolder, account: Row[Any], connected: Connected
) -> ServiceError | None:
    if account.remote_account_id not in ("", connected.remote_account_id):
        message = (
            "Another seller consented than the account's own; log in at the marketplace as that seller, or connect a "
            "new account."
        )
        return precondition("REMOTE_ACCOUNT_MISMATCH", message, holder.account_id)
    other = await AccountRepository(connection).find_seller(
        holder.tenant_id, account.marketplace, connected.remote_account_id
    )
    if other is not None and other != holder.account_id:
        return remote_account_exists(other)
    return None


async def _refuse(connection: AsyncConnection, row: Row[Any]) -> None:
    await ConnectionRepository(connection).settle(row.connection_id, "REFUSED")
    await forget_unconnected(connection, row.account_id)
