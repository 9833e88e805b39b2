"""Tokens for connectors that hold a lease, and the right to refresh them for one at a time."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from stoflow_orchestrator.repositories.account import AccountRepository
from stoflow_orchestrator.repositories.credential import CredentialRepository
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.services.account_secrets import Tokens, open_tokens, seal_tokens
from stoflow_orchestrator.services.accounts import account_not_found
from stoflow_orchestrator.services.secret_box import SecretBox
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_service_kit.errors import FailedPreconditionError, PreconditionViolation
from stoflow_service_kit.logs import REDACTED, get_logger

log = get_logger(__name__)

# A token that ends sooner could end in the middle of the task.
MIN_TOKEN_LIFETIME = timedelta(seconds=60)
GRANT_LEASE = timedelta(seconds=30)
RETRY_AFTER = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class CredentialQuery:
    """Who asks for an account's credentials, and by which lease."""

    tenant_id: int
    account_id: UUID
    job_id: UUID
    task_id: UUID
    lease_token: UUID = field(repr=False)
    instance_id: UUID
    # The access token that the marketplace has just refused; empty otherwise.
    refused_access_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """Use this."""

    value: str = field(repr=False)
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class RefreshGrant:
    """Refresh, then save."""

    grant_id: UUID
    refresh_token: str = field(repr=False)
    lease: timedelta = GRANT_LEASE


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Another refreshes just now."""

    delay: timedelta = RETRY_AFTER


@dataclass(frozen=True, slots=True)
class GrantHolder:
    """Who hands in the outcome of a refresh."""

    tenant_id: int
    account_id: UUID
    instance_id: UUID
    grant_id: UUID


@dataclass(frozen=True, slots=True)
class Refreshed:
    """New tokens; an empty refresh token keeps the one that is stored."""

    access_token: str = field(repr=False)
    expire_time: datetime
    refresh_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """The marketplace refuses to refresh."""

    message: str = ""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The refresh could not be tried."""


Credential = AccessToken | RefreshGrant | RetryLater
RefreshOutcome = Refreshed | Refused | Abandoned


class CredentialService:
    """Serves GetCredentials and SaveCredentials of the connector contract."""

    def __init__(self, database: Database, tenants: TenantDirectory, box: SecretBox) -> None:
        self._database = database
        self._tenants = tenants
        self._box = box

    async def get(self, query: CredentialQuery) -> Credential:
        """Returns a valid access token, the grant to refresh it, or how long to wait for who has the grant.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
            FailedPreconditionError: LEASE_REQUIRED or ACCOUNT_RECONNECT_REQUIRED.
        """
        await self._tenants.require(query.tenant_id)
        async with self._database.tenant_transaction(query.tenant_id) as connection:
            row = await self._find(connection, query)
            answer = self._usable_token(query, row) or await self._claim(connection, query, row)
            if answer is None:
                # Somebody refreshed between the two statements, or holds the grant.
                row = await self._find(connection, query)
                answer = self._usable_token(query, row)
        return answer or RetryLater()

    @staticmethod
    async def _find(connection: AsyncConnection, query: CredentialQuery) -> Row[Any]:
        repository = CredentialRepository(connection)
        row = await repository.find(query.account_id)
        if row is None:
            raise account_not_found(query.account_id)
        if not await repository.holds_lease(
            tenant_id=query.tenant_id,
            account_id=query.account_id,
            job_id=query.job_id,
            task_id=query.task_id,
            lease_token=query.lease_token,
            instance_id=query.instance_id,
        ):
            message = "The caller holds no lease on a task of this account."
            raise precondition("LEASE_REQUIRED", message, query.account_id)
        if row.state != "CONNECTED" or not row.credentials:
            message = "The account must be connected again by its owner."
            raise precondition("ACCOUNT_RECONNECT_REQUIRED", message, query.account_id)
        return row

    def _usable_token(self, query: CredentialQuery, row: Row[Any]) -> AccessToken | None:
        expire_time = row.access_token_expire_time
        if expire_time is None or expire_time <= row.read_time + MIN_TOKEN_LIFETIME:
            return None
        token = self._open(query.tenant_id, query.account_id, row).access_token
        if not token or hmac.compare_digest(token.encode(), query.refused_access_token.encode()):
            return None
        return AccessToken(token, expire_time)

    async def _claim(
        self, connection: AsyncConnection, query: CredentialQuery, row: Row[Any]
    ) -> RefreshGrant | None:
        grant_id = await CredentialRepository(connection).claim_grant(
            query.account_id, bytes(row.credentials), query.instance_id, uuid7(), GRANT_LEASE
        )
        if grant_id is None:
            return None
        return RefreshGrant(grant_id, self._open(query.tenant_id, query.account_id, row).refresh_token)

    async def save(self, holder: GrantHolder, outcome: RefreshOutcome) -> None:
        """Stores what a refresh gave; the same outcome under the same grant may be handed in again.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
            FailedPreconditionError: GRANT_LOST.
        """
        await self._tenants.require(holder.tenant_id)
        async with self._database.tenant_transaction(holder.tenant_id) as connection:
            row = await CredentialRepository(connection).lock(holder.account_id)
            if row is None:
                raise account_not_found(holder.account_id)
            is_holder = (row.grant_id, row.grant_instance_id) == (holder.grant_id, holder.instance_id)
            # The newest grant may be late: nobody has refreshed since, and a rotated token exists nowhere else.
            if is_holder and row.is_grant_unspent:
                await self._settle(connection, holder, outcome, row)
            elif not is_holder or not self._is_repeated(holder, outcome, row):
                raise grant_lost(holder.account_id)

    async def _settle(
        self, connection: AsyncConnection, holder: GrantHolder, outcome: RefreshOutcome, row: Row[Any]
    ) -> None:
        credentials = CredentialRepository(connection)
        if isinstance(outcome, Refreshed):
            sealed = seal_tokens(
                self._box, holder.tenant_id, holder.account_id, self._new_tokens(holder, outcome, row)
            )
            await credentials.store_refreshed(holder.account_id, sealed, outcome.expire_time)
            return
        await credentials.spend_grant(holder.account_id)
        if isinstance(outcome, Refused):
            await AccountRepository(connection).set_state(holder.account_id, "RECONNECT_REQUIRED")
            log.warning(
                "account_refresh_refused",
                tenant_id=holder.tenant_id,
                account_id=str(holder.account_id),
                answer=_without(outcome.message, self._open(holder.tenant_id, holder.account_id, row)),
            )

    def _new_tokens(self, holder: GrantHolder, outcome: Refreshed, row: Row[Any]) -> Tokens:
        stored = self._open(holder.tenant_id, holder.account_id, row)
        return Tokens(outcome.access_token, outcome.refresh_token or stored.refresh_token)

    def _is_repeated(self, holder: GrantHolder, outcome: RefreshOutcome, row: Row[Any]) -> bool:
        # The grant was spent: only what is stored already can be answered as if it were new.
        if isinstance(outcome, Refreshed):
            stored = self._open(holder.tenant_id, holder.account_id, row)
            return stored == self._new_tokens(holder, outcome, row)
        return isinstance(outcome, Abandoned) or bool(row.state == "RECONNECT_REQUIRED")

    def _open(self, tenant_id: int, account_id: UUID, row: Row[Any]) -> Tokens:
        return open_tokens(self._box, tenant_id, account_id, bytes(row.credentials))


def _without(text: str, tokens: Tokens) -> str:
    for secret in (tokens.access_token, tokens.refresh_token):
        if secret:
            text = text.replace(secret, REDACTED)
    return text


def grant_lost(account_id: UUID) -> FailedPreconditionError:
    """Makes the error for a grant that is spent or another's."""
    return precondition("GRANT_LOST", "The grant is spent or belongs to another.", account_id)


def precondition(reason: str, message: str, account_id: UUID) -> FailedPreconditionError:
    """Makes the error for a call that an account's state, or the caller's right to it, does not allow."""
    return FailedPreconditionError(
        message,
        reason=reason,
        metadata={"account_id": str(account_id)},
        preconditions=[PreconditionViolation(reason, f"accounts/{account_id}", message)],
    )
