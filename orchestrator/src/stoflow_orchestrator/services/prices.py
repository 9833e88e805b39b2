"""How accounts' prices are made, as sellers read, set and try it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from stoflow.catalog.v1 import price_service_pb2 as rpc
from stoflow.catalog.v1.price_pb2 import AccountPriceRule, PriceCalculation
from stoflow.catalog.v1.price_pb2 import PriceRule as PriceRuleMessage
from stoflow.common.v1.money_pb2 import Money

from stoflow_orchestrator.messages.price import (
    account_rule_message,
    calculation_message,
    rule_of,
    rule_version,
)
from stoflow_orchestrator.pricing import PriceError, PriceRule, rule_from_json
from stoflow_orchestrator.repositories.account import AccountRepository
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.services.accounts import get_account
from stoflow_orchestrator.services.currencies import CURRENCY_CODES
from stoflow_orchestrator.services.idempotency import claim_mutation, describe_mutation
from stoflow_orchestrator.services.snapshots import Snapshot, SnapshotLoader
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_orchestrator.storable import check_storable
from stoflow_service_kit.errors import AbortedError, FieldViolation, InvalidArgumentError, NotFoundError


class PriceService:
    """Reads, sets and tries price rules."""

    def __init__(self, database: Database, tenants: TenantDirectory, snapshots: SnapshotLoader) -> None:
        self._database = database
        self._tenants = tenants
        self._snapshots = snapshots

    async def get(self, request: rpc.GetPriceRuleRequest) -> AccountPriceRule:
        """Returns an account's rule.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
        """
        await self._tenants.require(request.tenant_id)
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            return account_rule_message(await get_account(connection, UUID(request.account_id)))

    async def set(self, request: rpc.SetPriceRuleRequest) -> AccountPriceRule:
        """Sets or removes an account's rule, if it was not changed since the caller read it.

        Raises:
            InvalidArgumentError: A currency that does not exist.
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
            AbortedError: ETAG_MISMATCH.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        check_storable(request)
        _check_currency(request.rule)
        await self._tenants.require(request.tenant_id)
        account_id = UUID(request.account_id)
        rule = rule_of(request.rule).to_json() if request.HasField("rule") else None
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(account_id))
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            if await claim_mutation(connection, mutation) is None:
                account = await get_account(connection, account_id)
                version = rule_version(request.etag)
                accounts = AccountRepository(connection)
                if version is None or not await accounts.set_price_rule(account_id, rule, version):
                    raise AbortedError(
                        f"The rule was changed since: its etag was v{account.price_rule_version} just now; read it "
                        "again.",
                        reason="ETAG_MISMATCH",
                    )
            return account_rule_message(await get_account(connection, account_id))

    async def preview(self, request: rpc.PreviewPricesRequest) -> list[PriceCalculation]:
        """Tells what a rule makes of prices and products.

        Raises:
            InvalidArgumentError: A currency that does not exist.
            NotFoundError: TENANT_NOT_FOUND, ACCOUNT_NOT_FOUND or PRODUCT_NOT_FOUND.
        """
        check_storable(request)
        _check_currency(request.rule)
        await self._tenants.require(request.tenant_id)
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            account = await get_account(connection, UUID(request.account_id))
        rule = None if account.price_rule is None else rule_from_json(account.price_rule)
        if request.HasField("rule"):
            rule = rule_of(request.rule)
        product_ids = [UUID(product_id) for product_id in request.product_ids]
        found = await self._snapshots.load(request.tenant_id, product_ids, account.marketplace, rule)
        if missing := [index for index, product_id in enumerate(product_ids) if product_id not in found]:
            raise _products_missing(request.product_ids, missing)
        return [
            *(_calculate(price, rule) for price in request.prices),
            *_of_products(product_ids, [found[product_id] for product_id in product_ids]),
        ]


def _check_currency(rule: PriceRuleMessage) -> None:
    if rule.currency_code and rule.currency_code not in CURRENCY_CODES:
        description = f"{rule.currency_code} is not an active code of ISO 4217"
        raise InvalidArgumentError([FieldViolation("rule.currency_code", description)])


def _products_missing(product_ids: Sequence[str], missing: Sequence[int]) -> NotFoundError:
    return NotFoundError(
        f"The tenant has not {len(missing)} of the {len(product_ids)} products.",
        reason="PRODUCT_NOT_FOUND",
        metadata={"product_id": product_ids[missing[0]]},
        violations=[
            FieldViolation(f"product_ids[{index}]", f"there is no product {product_ids[index]}")
            for index in missing
        ],
    )


def _calculate(base: Money, rule: PriceRule | None) -> PriceCalculation:
    if rule is None:
        return calculation_message(base, base, "PRODUCT")
    try:
        amount = rule.apply(base.currency_code, base.amount_minor)
    except PriceError as error:
        return calculation_message(base, None, "RULE", str(error))
    return calculation_message(base, Money(currency_code=base.currency_code, amount_minor=amount), "RULE")


def _of_products(product_ids: Sequence[UUID], snapshots: Sequence[Snapshot]) -> Iterator[PriceCalculation]:
    for product_id, snapshot in zip(product_ids, snapshots, strict=True):
        price = snapshot.price
        base = Money(currency_code=price.base_currency, amount_minor=price.base_minor)
        result = None if price.problem else snapshot.message.product.content.price
        yield calculation_message(base, result, price.source, price.problem, str(product_id))
