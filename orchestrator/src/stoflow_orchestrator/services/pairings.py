"""Browsers that may act for accounts: codes, pairings, and their end."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from stoflow.accounts.v1 import pairing_pb2 as rpc
from stoflow.accounts.v1.account_pb2 import AccountStopReason
from stoflow.connector.v1 import session_pb2
from uuid_utils.compat import uuid7

from stoflow_orchestrator.messages.account import stop_reason_of
from stoflow_orchestrator.messages.times import to_timestamp
from stoflow_orchestrator.paging import decode_token, encode_token, fit_page, page_size, time_and_id
from stoflow_orchestrator.repositories.account import AccountRepository
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.pairing import PairingRepository
from stoflow_orchestrator.services.accounts import get_account, is_browser, newest_manifest
from stoflow_orchestrator.services.idempotency import claim_mutation, describe_mutation
from stoflow_orchestrator.services.secret_box import SecretBox
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_orchestrator.storable import check_storable
from stoflow_service_kit.errors import FailedPreconditionError, NotFoundError, PreconditionViolation

CODE_LIFE = timedelta(minutes=10)
# Without letters that are taken for each other; 40 bits, good for ten minutes and one use.
CODE_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH = 8


class PairingService:
    """Issues codes, makes pairings of them, lists and revokes pairings."""

    def __init__(self, database: Database, tenants: TenantDirectory, box: SecretBox) -> None:
        self._database = database
        self._tenants = tenants
        self._box = box

    async def create_code(self, request: rpc.CreatePairingCodeRequest) -> rpc.CreatePairingCodeResponse:
        """Issues a code; the same request gets the same one while it is good.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
            FailedPreconditionError: PAIRING_NOT_SUPPORTED or PAIRING_CODE_SPENT.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        await self._tenants.require(request.tenant_id)
        account_id = UUID(request.account_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(uuid7()))
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            first = await claim_mutation(connection, mutation)
            code_id = UUID(first or mutation.result_id)
            if first is None:
                await self._require_browser(connection, account_id)
                code = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
                await PairingRepository(connection).insert_code(
                    code_id,
                    request.tenant_id,
                    account_id,
                    code_digest(code),
                    self._box.seal(code.encode(), _binding(code_id)),
                    CODE_LIFE,
                )
            row = await PairingRepository(connection).find_code(code_id)
        if row is None:
            raise _code_spent(account_id)
        code = self._box.open(bytes(row.sealed_code), _binding(code_id)).decode()
        return rpc.CreatePairingCodeResponse(
            code=f"{code[:4]}-{code[4:]}", expire_time=to_timestamp(row.expire_time)
        )

    @staticmethod
    async def _require_browser(connection: AsyncConnection, account_id: UUID) -> None:
        account = await get_account(connection, account_id)
        if not is_browser(await newest_manifest(connection, account.marketplace)):
            text = f"Accounts of {account.marketplace} are not reached through a browser."
            raise FailedPreconditionError(
                text,
                reason="PAIRING_NOT_SUPPORTED",
                metadata={"account_id": str(account_id)},
                preconditions=[PreconditionViolation("CONNECTION", f"accounts/{account_id}", text)],
            )

    async def verify(self, request: session_pb2.VerifyPairingRequest) -> session_pb2.VerifyPairingResponse:
        """Makes a pairing of a code, or recognizes one by its secret.

        Raises:
            NotFoundError: PAIRING_NOT_FOUND, without saying what is wrong with code or secret.
        """
        check_storable(request)
        digest = token_digest(request.token)
        async with self._database.public_transaction() as connection:
            pairings = PairingRepository(connection)
            if request.code:
                await self._redeem(pairings, request, digest)
            row = await pairings.connect(digest, request.marketplace, UUID(request.client_id))
        if row is None:
            raise pairing_not_found()
        async with self._database.tenant_transaction(row.tenant_id) as connection:
            account = await get_account(connection, row.account_id)
        return session_pb2.VerifyPairingResponse(
            pairing_id=str(row.pairing_id),
            tenant_id=row.tenant_id,
            account_id=str(row.account_id),
            display_name=account.display_name,
            stop_reason=stop_reason_of(account.state, account.stop_reason),
        )

    async def _redeem(
        self, pairings: PairingRepository, request: session_pb2.VerifyPairingRequest, digest: bytes
    ) -> None:
        code = await pairings.lock_code(code_digest(request.code))
        if code is None:
            raise pairing_not_found()
        if code.pairing_id is not None:
            # Asked again by who has it: the secret decides. For anybody else the code is spent.
            return
        pairing_id = uuid7()
        await pairings.use_code(code.code_id, pairing_id)
        await pairings.insert(
            {
                "pairing_id": pairing_id,
                "tenant_id": code.tenant_id,
                "account_id": code.account_id,
                "marketplace": request.marketplace,
                "token_sha256": digest,
                "client_id": UUID(request.client_id),
                "client_name": request.client_name,
            }
        )

    async def list(self, request: rpc.ListPairingsRequest) -> rpc.ListPairingsResponse:
        """Returns a page of an account's pairings, newest first.

        Raises:
            InvalidArgumentError: PAGE_TOKEN_INVALID.
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
        """
        before = decode_token(request, request.page_token, time_and_id)
        await self._tenants.require(request.tenant_id)
        account_id, size = UUID(request.account_id), page_size(request)
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            await get_account(connection, account_id)
            rows = await PairingRepository(connection).list_page(
                request.tenant_id, account_id, before, size + 1
            )
        pairings = fit_page(
            (
                rpc.Pairing(
                    pairing_id=str(row.pairing_id),
                    account_id=str(row.account_id),
                    client_name=row.client_name,
                    create_time=to_timestamp(row.create_time),
                    connect_time=to_timestamp(row.connect_time),
                    is_active=row.is_active,
                )
                for row in rows
            ),
            size,
        )
        token = ""
        if len(pairings) < len(rows):
            last = rows[len(pairings) - 1]
            token = encode_token(request, [last.create_time, last.pairing_id])
        return rpc.ListPairingsResponse(pairings=pairings, next_page_token=token)

    async def revoke(self, request: rpc.RevokePairingRequest) -> None:
        """Takes a browser's right away.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or PAIRING_NOT_FOUND.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        await self._tenants.require(request.tenant_id)
        pairing_id = UUID(request.pairing_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(pairing_id))
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            if await claim_mutation(connection, mutation) is not None:
                return
            if not await PairingRepository(connection).revoke(pairing_id, tenant_id=request.tenant_id):
                raise pairing_not_found(pairing_id)

    async def drop(self, pairing_id: UUID, token: str) -> None:
        """Revokes a pairing that its browser has forgotten; one that is not known is ignored."""
        async with self._database.public_transaction() as connection:
            await PairingRepository(connection).revoke(pairing_id, digest=token_digest(token))

    async def stop(self, tenant_id: int, account_id: UUID, reason: AccountStopReason.ValueType) -> None:
        """Stops an account until its seller resumes it.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
        """
        name = AccountStopReason.Name(reason).removeprefix("ACCOUNT_STOP_REASON_")
        await self._set_state(tenant_id, account_id, "RECONNECT_REQUIRED", name)

    async def resume(self, tenant_id: int, account_id: UUID) -> None:
        """Makes an account CONNECTED again, because its seller says so.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
        """
        await self._set_state(tenant_id, account_id, "CONNECTED", None)

    async def _set_state(self, tenant_id: int, account_id: UUID, state: str, reason: str | None) -> None:
        await self._tenants.require(tenant_id)
        async with self._database.tenant_transaction(tenant_id) as connection:
            accounts = AccountRepository(connection)
            if not await accounts.lock(account_id):
                await get_account(connection, account_id)
            await accounts.set_state(account_id, state, reason)


def code_digest(code: str) -> bytes:
    """Hashes a code as it is stored; case, dashes and spaces do not count."""
    letters = code.upper().replace("-", "").replace(" ", "")
    return hashlib.sha256(letters.encode()).digest()


def token_digest(token: str) -> bytes:
    """Hashes a pairing's secret as it is stored."""
    return hashlib.sha256(token.encode()).digest()


def pairing_not_found(pairing_id: UUID | None = None) -> NotFoundError:
    """Makes the error for a pairing, code or secret that is good for nothing."""
    if pairing_id is None:
        return NotFoundError("This code or secret is not good, or no longer.", reason="PAIRING_NOT_FOUND")
    return NotFoundError(
        f"There is no pairing {pairing_id}.",
        reason="PAIRING_NOT_FOUND",
        metadata={"pairing_id": str(pairing_id)},
    )


def _code_spent(account_id: UUID) -> FailedPreconditionError:
    text = "The code that this request_id made was used or has ended; ask for another with a new one."
    return FailedPreconditionError(
        text,
        reason="PAIRING_CODE_SPENT",
        metadata={"account_id": str(account_id)},
        preconditions=[PreconditionViolation("CODE", f"accounts/{account_id}", text)],
    )


def _binding(code_id: UUID) -> str:
    return f"stoflow/pairing-codes/{code_id}"
