"""What jobs submitted alone and those of a batch have in common: the account, the manifest, the options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from google.protobuf import json_format
from sqlalchemy import Row
from stoflow.connector.v1.manifest_pb2 import ActionSpec
from stoflow.connector.v1.task_pb2 import TaskAssignment
from stoflow.jobs.v1.batch_service_pb2 import CreateBatchRequest
from stoflow.jobs.v1.job_service_pb2 import CreateJobRequest

from stoflow_orchestrator.messages.times import to_datetime
from stoflow_orchestrator.pricing import PriceRule, rule_from_json
from stoflow_orchestrator.repositories.account import AccountRepository
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.mutation import Mutation, MutationRepository
from stoflow_orchestrator.services.accounts import CONNECT_ACTION, account_not_connected
from stoflow_orchestrator.services.idempotency import repeated_result
from stoflow_orchestrator.services.planning import Planner, check_options, find_action, option_violations
from stoflow_service_kit.batching import Batcher
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError, NotFoundError

Request = CreateJobRequest | CreateBatchRequest

# Reads of waiting callers are made together; what comes in meanwhile is the next group.
LOOKS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Submission:
    """A request, checked in all but its products.

    Attributes:
        assignment: What the assignments of all its jobs share; the product is missing.
        not_before_time: None for now.
        price_rule: What makes the account's prices; None leaves them as they are.
    """

    account_id: UUID
    marketplace: str
    manifest_version: str
    action: ActionSpec
    site: str
    assignment: TaskAssignment
    priority: int
    max_retries: int
    not_before_time: datetime | None
    expire_after_seconds: float
    price_rule: PriceRule | None


class _Look(NamedTuple):
    tenant_id: int
    request_id: UUID
    account_id: UUID


class Submissions:
    """Checks requests against the tenant's account and the marketplace's manifest."""

    def __init__(self, database: Database, planner: Planner) -> None:
        self._database = database
        self._planner = planner
        self._looks: Batcher[_Look, tuple[Mutation | None, Row[Any] | None]] = Batcher(
            "submissions", self._look_up, workers=LOOKS_AT_ONCE
        )

    async def find_first(self, request: Request, mutation: Mutation) -> tuple[str | None, Row[Any] | None]:
        """Looks for the same mutation carried out before, and for the account; many callers' in one look.

        What a repeated mutation was checked against may have changed since, so it is not checked again.

        Returns:
            The result of the first time, or None; and the account, or None when there is no such account.

        Raises:
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        first, account = await self._looks.submit(
            _Look(request.tenant_id, mutation.request_id, UUID(request.account_id))
        )
        return None if first is None else repeated_result(mutation, first), account

    async def _look_up(self, looks: Sequence[_Look]) -> list[tuple[Mutation | None, Row[Any] | None]]:
        first: dict[tuple[int, UUID], Mutation] = {}
        accounts: dict[tuple[int, UUID], Row[Any]] = {}
        for tenant_id in {look.tenant_id for look in looks}:
            mine = [look for look in looks if look.tenant_id == tenant_id]
            async with self._database.tenant_reading(tenant_id) as connection:
                mutations = await MutationRepository(connection).find_all(
                    tenant_id, {look.request_id for look in mine}
                )
                found = await AccountRepository(connection).find_all({look.account_id for look in mine})
            first.update({(tenant_id, request_id): value for request_id, value in mutations.items()})
            accounts.update({(tenant_id, account_id): row for account_id, row in found.items()})
        return [
            (first.get((x.tenant_id, x.request_id)), accounts.get((x.tenant_id, x.account_id))) for x in looks
        ]

    async def find_account(self, tenant_id: int, account_id: UUID) -> Row[Any] | None:
        """Returns the account, if there is such an account."""
        async with self._database.tenant_reading(tenant_id) as connection:
            return (await AccountRepository(connection).find_all({account_id})).get(account_id)

    async def check(
        self, request: Request, account: Row[Any] | None, violations: list[FieldViolation] | None = None
    ) -> Submission:
        """Checks everything but products.

        Args:
            request: What is asked for.
            account: The account that it names.
            violations: Takes what is wrong with the options, instead of an error.

        Raises:
            NotFoundError: ACCOUNT_NOT_FOUND or MARKETPLACE_NOT_FOUND.
            FailedPreconditionError: ACCOUNT_NOT_CONNECTED.
            InvalidArgumentError: ACTION_NOT_FOUND, SITE_NOT_ALLOWED, OPTIONS_INVALID or INVALID_ARGUMENT.
        """
        not_before = not_before_time(request)
        if account is None:
            raise NotFoundError(
                f"Tenant {request.tenant_id} has no account {request.account_id}.",
                reason="ACCOUNT_NOT_FOUND",
                metadata={"account_id": request.account_id},
            )
        if account.state == "ERASED" or (account.state == "CONNECTING" and request.action != CONNECT_ACTION):
            raise account_not_connected(account)
        manifest = await self._planner.get_manifest(account.marketplace)
        action = find_action(manifest, request.action)
        site = _choose_site(request, account)
        options = json_format.MessageToDict(request.options)
        if violations is None:
            check_options(action, options)
        else:
            violations += option_violations(action, options)
        assignment = TaskAssignment(action=action.name, manifest_version=manifest.version, site=site)
        assignment.account.account_id = request.account_id
        json_format.ParseDict(account.settings, assignment.account.settings)
        if request.HasField("options"):
            assignment.options.CopyFrom(request.options)
        has_retries = request.HasField("max_retries")
        return Submission(
            account_id=UUID(request.account_id),
            marketplace=account.marketplace,
            manifest_version=manifest.version,
            action=action,
            site=site,
            assignment=assignment,
            priority=request.priority or action.default_priority,
            max_retries=request.max_retries if has_retries else action.default_max_retries,
            not_before_time=not_before,
            expire_after_seconds=action.expire_after.ToTimedelta().total_seconds(),
            price_rule=None if account.price_rule is None else rule_from_json(account.price_rule),
        )


def not_before_time(request: Request) -> datetime | None:
    """Returns when the jobs may start; None for now.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, for a time that cannot be stored.
    """
    if not request.HasField("not_before_time"):
        return None
    try:
        return to_datetime(request.not_before_time)
    except ValueError as error:
        violation = FieldViolation("not_before_time", "must be a time of the years 1970 to 9000")
        raise InvalidArgumentError([violation]) from error


def _choose_site(request: Request, account: Row[Any]) -> str:
    if not request.site:
        return str(account.sites[0]) if account.sites else ""
    if request.site not in account.sites:
        allowed = ", ".join(account.sites) or "none"
        violation = FieldViolation("site", f"the account sells on: {allowed}")
        raise InvalidArgumentError([violation], reason="SITE_NOT_ALLOWED")
    return request.site
