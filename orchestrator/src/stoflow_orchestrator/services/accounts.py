"""A tenant's connections to marketplaces."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from google.protobuf.json_format import MessageToDict
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from stoflow.accounts.v1.account_pb2 import Account, OAuthCredentials
from stoflow.accounts.v1.account_service_pb2 import (
    CreateAccountRequest,
    ListAccountsRequest,
    ListAccountsResponse,
    ReconnectAccountRequest,
)
from stoflow.connector.v1.manifest_pb2 import CONNECTION_BROWSER, Manifest
from uuid_utils.compat import uuid7

from stoflow_orchestrator.messages.account import account_message
from stoflow_orchestrator.messages.times import to_datetime
from stoflow_orchestrator.paging import decode_token, encode_token, fit_page, page_size, time_and_id
from stoflow_orchestrator.repositories.account import AccountRepository
from stoflow_orchestrator.repositories.credential import CredentialRepository
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.reference import ReferenceRepository
from stoflow_orchestrator.services.account_secrets import Tokens, seal_tokens
from stoflow_orchestrator.services.idempotency import claim_mutation, describe_mutation
from stoflow_orchestrator.services.json_schema import schema_violations
from stoflow_orchestrator.services.secret_box import SecretBox
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_orchestrator.storable import storable_violations
from stoflow_service_kit.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    PreconditionViolation,
)
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

# The SDK's own action, which every connector with OAuth has.
CONNECT_ACTION = "connect"
# Settings travel with every task of the account.
MAX_SETTINGS_BYTES = 64 * 1024

# Of an account that a browser acts for.
NO_CREDENTIALS = b""

ResumeJobs = Callable[[UUID], Awaitable[None]]
"""Lets an account's jobs that wait with ACCOUNT_RECONNECT_REQUIRED go on; the account is CONNECTED by then."""


async def resume_jobs(resume: ResumeJobs, account_id: UUID) -> None:
    """Lets an account's waiting jobs go on, after the transaction that connected it.

    Not in it: it holds the gate, and commands lock jobs before gates.
    """
    try:
        await resume(account_id)
    except Exception:
        # The account is connected, and the reaper finds its jobs within a second.
        log.warning("resume_left_to_the_reaper", account_id=str(account_id), exc_info=True)


class AccountService:
    """Creates, reconnects and reads accounts."""

    def __init__(
        self, database: Database, tenants: TenantDirectory, box: SecretBox, resume_jobs: ResumeJobs
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._box = box
        self._resume_jobs = resume_jobs

    async def create(self, request: CreateAccountRequest) -> Account:
        """Creates a connected account.

        Raises:
            InvalidArgumentError: Every wrong field, settings that break the manifest's schema among them.
            NotFoundError: TENANT_NOT_FOUND or MARKETPLACE_NOT_FOUND.
            AlreadyExistsError: REMOTE_ACCOUNT_EXISTS or REQUEST_ID_REUSED.
        """
        await self._tenants.require(request.tenant_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(uuid7()))
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            first = await claim_mutation(connection, mutation)
            if first is None:
                await self._insert(connection, UUID(mutation.result_id), request)
            row = await get_account(connection, UUID(first or mutation.result_id))
        return account_message(request.tenant_id, row)

    async def _insert(
        self, connection: AsyncConnection, account_id: UUID, request: CreateAccountRequest
    ) -> None:
        manifest = await newest_manifest(connection, request.marketplace)
        expire_time, violations = _expire_time(request.credentials)
        violations += _connection_violations(manifest, request)
        # First: schemas are for values that JSON knows.
        violations += storable_violations(request)
        settings: dict[str, Any] = {}
        if not violations:
            settings = MessageToDict(request.settings)
        if not violations:
            violations = settings_violations(manifest, settings)
        if violations:
            raise InvalidArgumentError(violations)
        account = {
            "account_id": account_id,
            "marketplace": request.marketplace,
            "display_name": request.display_name,
            "sites": list(request.sites),
            "settings": settings,
            "credentials": NO_CREDENTIALS
            if is_browser(manifest)
            else self._seal(request.tenant_id, account_id, request.credentials),
            "access_token_expire_time": expire_time,
        }
        other = await AccountRepository(connection).insert(
            request.tenant_id,
            account,
            remote_account_id=request.remote_account_id,
            max_admitted_jobs=manifest.max_jobs_per_account or None,
            # What happens in a seller's own browser, the seller has asked for.
            syncs_by_itself=not is_browser(manifest),
        )
        if other is not None:
            raise remote_account_exists(other)

    def _seal(self, tenant_id: int, account_id: UUID, credentials: OAuthCredentials) -> bytes:
        tokens = Tokens(credentials.access_token, credentials.refresh_token)
        return seal_tokens(self._box, tenant_id, account_id, tokens)

    async def reconnect(self, request: ReconnectAccountRequest) -> Account:
        """Replaces an account's credentials and lets its waiting jobs go on.

        Raises:
            InvalidArgumentError: Every wrong field.
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
            FailedPreconditionError: ACCOUNT_NOT_CONNECTED, for one that is ERASED.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        await self._tenants.require(request.tenant_id)
        account_id = UUID(request.account_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(account_id))
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            is_first = await claim_mutation(connection, mutation) is None
            if is_first:
                await self._reconnect(connection, account_id, request)
            row = await get_account(connection, account_id)
        if is_first:
            await resume_jobs(self._resume_jobs, account_id)
        return account_message(request.tenant_id, row)

    async def _reconnect(
        self, connection: AsyncConnection, account_id: UUID, request: ReconnectAccountRequest
    ) -> None:
        expire_time, violations = _expire_time(request.credentials)
        violations += storable_violations(request)
        if violations:
            raise InvalidArgumentError(violations)
        accounts = AccountRepository(connection)
        if not await accounts.lock(account_id):
            raise account_not_found(account_id)
        account = await get_account(connection, account_id)
        if account.state == "ERASED":
            raise account_not_connected(account)
        if is_browser(await newest_manifest(connection, account.marketplace)):
            text = "a browser acts for this account: its seller lets it go on there"
            raise InvalidArgumentError([FieldViolation("credentials", text)])
        sealed = self._seal(request.tenant_id, account_id, request.credentials)
        await CredentialRepository(connection).replace(account_id, sealed, expire_time)
        await accounts.set_state(account_id, "CONNECTED")

    async def get(self, tenant_id: int, account_id: UUID) -> Account:
        """Returns one account, without its credentials.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
        """
        await self._tenants.require(tenant_id)
        async with self._database.tenant_transaction(tenant_id) as connection:
            row = await get_account(connection, account_id)
        return account_message(tenant_id, row)

    async def list(self, request: ListAccountsRequest) -> ListAccountsResponse:
        """Returns a page of accounts, newest first.

        Raises:
            InvalidArgumentError: PAGE_TOKEN_INVALID.
            NotFoundError: TENANT_NOT_FOUND.
        """
        before = decode_token(request, request.page_token, time_and_id)
        await self._tenants.require(request.tenant_id)
        size = page_size(request)
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            rows = await AccountRepository(connection).list_page(before, size + 1)
        accounts = fit_page((account_message(request.tenant_id, row) for row in rows), size)
        token = ""
        if len(accounts) < len(rows):
            last = rows[len(accounts) - 1]
            token = encode_token(request, [last.create_time, last.account_id])
        return ListAccountsResponse(accounts=accounts, next_page_token=token)


async def get_account(connection: AsyncConnection, account_id: UUID) -> Row[Any]:
    """Returns one account's row.

    Raises:
        NotFoundError: ACCOUNT_NOT_FOUND.
    """
    row = await AccountRepository(connection).find(account_id)
    if row is None:
        raise account_not_found(account_id)
    return row


async def newest_manifest(connection: AsyncConnection, marketplace: str) -> Manifest:
    """Returns the manifest that was registered last.

    Raises:
        NotFoundError: MARKETPLACE_NOT_FOUND.
    """
    serialized = await ReferenceRepository(connection).find_newest_manifest(marketplace)
    if serialized is None:
        raise NotFoundError(
            f"No connector has registered the marketplace {marketplace!r}.",
            reason="MARKETPLACE_NOT_FOUND",
            metadata={"marketplace": marketplace},
        )
    return Manifest.FromString(serialized)


def remote_account_exists(account_id: UUID) -> AlreadyExistsError:
    """Makes the error for a seller who has another account of the tenant."""
    return AlreadyExistsError(
        f"Account {account_id} is this seller's already; connect that one again.",
        reason="REMOTE_ACCOUNT_EXISTS",
        metadata={"account_id": str(account_id)},
    )


def is_browser(manifest: Manifest) -> bool:
    """Tells whether a marketplace's accounts are reached through the seller's browser and have no credentials."""
    return manifest.connection == CONNECTION_BROWSER


def account_not_found(account_id: UUID) -> NotFoundError:
    """Makes the error for an account that the tenant does not have."""
    return NotFoundError(
        f"There is no account {account_id}.",
        reason="ACCOUNT_NOT_FOUND",
        metadata={"account_id": str(account_id)},
    )


def account_not_connected(account: Row[Any]) -> FailedPreconditionError:
    """Makes the error for an account that was never connected, or whose seller's data are erased."""
    message = (
        "The seller's data were erased at the marketplace's request; connect a new account."
        if account.state == "ERASED"
        else "The account was never connected; the seller must consent first."
    )
    return FailedPreconditionError(
        message,
        reason="ACCOUNT_NOT_CONNECTED",
        metadata={"account_id": str(account.account_id)},
        preconditions=[
            PreconditionViolation("ACCOUNT_NOT_CONNECTED", f"accounts/{account.account_id}", message)
        ],
    )


def settings_violations(manifest: Manifest, settings: dict[str, Any]) -> list[FieldViolation]:
    """Lists what is wrong with an account's settings."""
    if len(json.dumps(settings).encode()) > MAX_SETTINGS_BYTES:
        return [
            FieldViolation("settings", f"must not be larger than {MAX_SETTINGS_BYTES // 1024} KiB as JSON")
        ]
    return schema_violations(manifest.account_settings_schema, settings, "settings")


def _connection_violations(manifest: Manifest, request: CreateAccountRequest) -> list[FieldViolation]:
    has_credentials = request.HasField("credentials")
    if is_browser(manifest):
        text = "must be absent: a browser acts for accounts of this marketplace"
        return [FieldViolation("credentials", text)] if has_credentials else []
    return [] if has_credentials else [FieldViolation("credentials", "value is required", "required")]


def _expire_time(credentials: OAuthCredentials) -> tuple[datetime | None, list[FieldViolation]]:
    if not credentials.HasField("access_token_expire_time"):
        return None, []
    try:
        return to_datetime(credentials.access_token_expire_time), []
    except ValueError:
        path = "credentials.access_token_expire_time"
        return None, [FieldViolation(path, "must be a time of the years 1970 to 9000")]
