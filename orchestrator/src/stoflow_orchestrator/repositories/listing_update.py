"""Planned updates of listings: made with a product's change, claimed when they are due, gone with the job."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Text,
    Uuid,
    any_,
    case,
    delete,
    func,
    literal,
    literal_column,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.catalog import Listing, Product
from stoflow_orchestrator.models.connector import AccountGate
from stoflow_orchestrator.models.listing_update import DueListingUpdate
from stoflow_orchestrator.models.live import LiveJob

# A product that never rests is updated all the same, after so many times the quiet period.
MAX_QUIET_PERIODS = 10
_SECOND: ColumnElement[timedelta] = literal_column("interval '1 second'")

# SKIP LOCKED: two orchestrators look at once, and neither should wait.
_CLAIM = text("""
    UPDATE public.due_listing_updates AS d SET due_time = clock_timestamp() + make_interval(secs => :seconds)
      FROM (SELECT account_id, product_id, site FROM public.due_listing_updates
             WHERE due_time <= now() ORDER BY due_time LIMIT :limit FOR UPDATE SKIP LOCKED) AS due
     WHERE (d.account_id, d.product_id, d.site) = (due.account_id, due.product_id, due.site)
    RETURNING d.tenant_id, d.account_id, d.product_id, d.site, d.action, d.update_id""")


class ListingUpdateRepository:
    """Statements on public.due_listing_updates."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def plan_product(self, product_id: UUID) -> None:
        """Plans updates of a changed product's live listings, in the transaction of the change.

        A later change of the product before the update is due puts it off.
        """
        listed = select(Listing.account_id).where(Listing.product_id == product_id, Listing.state == "LIVE")
        # Locked, so that whoever switches updates on just now sees this change, or is seen here.
        accounts = await self._connection.execute(
            select(AccountGate.update_quiet_seconds)
            .where(AccountGate.account_id.in_(listed))
            .order_by(AccountGate.account_id)
            .with_for_update(read=True, of=AccountGate)
        )
        if any(quiet_seconds is not None for quiet_seconds in accounts.scalars()):
            await self._plan(Listing.product_id == product_id)

    async def plan_stale(self, account_id: UUID) -> None:
        """Plans updates of all listings of an account that are stale."""
        is_stale = (
            select(Product.product_id)
            .where(Product.product_id == Listing.product_id, Product.version > Listing.product_version)
            .exists()
        )
        await self._plan(Listing.account_id == account_id, is_stale)

    async def _plan(self, *conditions: ColumnElement[bool]) -> None:
        now = func.clock_timestamp()
        planned = insert(DueListingUpdate).from_select(
            [
                "account_id",
                "product_id",
                "site",
                "tenant_id",
                "update_id",
                "first_time",
                "due_time",
                "problem",
            ],
            select(
                Listing.account_id,
                Listing.product_id,
                Listing.site,
                AccountGate.tenant_id,
                func.gen_random_uuid(),
                now,
                now + AccountGate.update_quiet_seconds * _SECOND,
                literal(""),
            )
            .distinct(Listing.account_id, Listing.product_id, Listing.site)
            .join(AccountGate, AccountGate.account_id == Listing.account_id)
            .where(Listing.state == "LIVE", AccountGate.update_quiet_seconds.is_not(None), *conditions)
            .order_by(Listing.account_id, Listing.product_id, Listing.site),
        )
        given = planned.excluded
        first_time = case(
            (DueListingUpdate.due_time.is_(None), given.first_time), else_=DueListingUpdate.first_time
        )
        await self._connection.execute(
            planned.on_conflict_do_update(
                index_elements=["account_id", "product_id", "site"],
                set_={
                    "update_id": given.update_id,
                    "first_time": first_time,
                    # What is to be ended does not wait for the product to rest.
                    "due_time": case(
                        (
                            DueListingUpdate.action != "update",
                            func.coalesce(DueListingUpdate.due_time, given.first_time),
                        ),
                        else_=func.least(
                            given.due_time,
                            first_time + MAX_QUIET_PERIODS * (given.due_time - given.first_time),
                        ),
                    ),
                    "problem": "",
                },
            )
        )

    async def drop_account(self, account_id: UUID) -> None:
        """Drops all planned updates of an account; what is to be ended stays so."""
        await self._connection.execute(
            delete(DueListingUpdate).where(
                DueListingUpdate.account_id == account_id, DueListingUpdate.action == "update"
            )
        )

    async def drop_product(self, product_id: UUID) -> None:
        """Drops all planned updates of a product."""
        await self._connection.execute(
            delete(DueListingUpdate).where(DueListingUpdate.product_id == product_id)
        )

    async def claim(self, limit: int, seconds: float) -> Sequence[Row[Any]]:
        """Returns updates that are due; who does not finish one in these seconds leaves it to others."""
        return (await self._connection.execute(_CLAIM, {"limit": limit, "seconds": seconds})).all()

    async def list_stale(self, subjects: Collection[tuple[UUID, UUID, str]]) -> set[tuple[UUID, UUID, str]]:
        """Returns those (account, product, site) that have a live listing which is stale; in the tenant's schema."""
        wanted = (
            func.unnest(
                literal([account_id for account_id, _, _ in subjects], ARRAY(Uuid())),
                literal([product_id for _, product_id, _ in subjects], ARRAY(Uuid())),
                literal([site for _, _, site in subjects], ARRAY(Text())),
            )
            .table_valued("account_id", "product_id", "site")
            .render_derived()
        )
        found = await self._connection.execute(
            select(Listing.account_id, Listing.product_id, Listing.site)
            .join(Product, Product.product_id == Listing.product_id)
            .where(
                tuple_(Listing.account_id, Listing.product_id, Listing.site).in_(
                    select(wanted.c.account_id, wanted.c.product_id, wanted.c.site)
                ),
                Listing.state == "LIVE",
                Product.version > Listing.product_version,
            )
        )
        return {(row.account_id, row.product_id, row.site) for row in found}

    async def list_endable(self, subjects: Collection[tuple[UUID, UUID, str]]) -> set[tuple[UUID, UUID, str]]:
        """Returns those (account, product, site) of which nothing is left to sell, and which show or soon show it."""
        empty = set(
            (
                await self._connection.execute(
                    select(Product.product_id).where(
                        Product.product_id.in_({product_id for _, product_id, _ in subjects}),
                        Product.stock_quantity == 0,
                    )
                )
            ).scalars()
        )
        listed = select(Listing.account_id, Listing.product_id, Listing.site).where(
            Listing.product_id.in_(empty), Listing.state == "LIVE"
        )
        coming = select(LiveJob.account_id, LiveJob.product_id, LiveJob.site).where(
            LiveJob.account_id.in_({account_id for account_id, _, _ in subjects}),
            LiveJob.product_id.in_(empty),
            LiveJob.state.in_(("PENDING", "RUNNING", "PAUSED")),
            LiveJob.action != "delete",
        )
        found = await self._connection.execute(listed.union(coming))
        return {(row.account_id, row.product_id, row.site) for row in found} & set(subjects)

    async def finish(self, update_ids: Collection[UUID]) -> None:
        """Forgets updates; one that another change of its product has planned anew has another id by now."""
        await self._connection.execute(
            delete(DueListingUpdate).where(
                DueListingUpdate.update_id == any_(literal(list(update_ids), ARRAY(Uuid())))
            )
        )

    async def put_off(self, update_id: UUID, seconds: float) -> None:
        """Makes an update due later."""
        await self._connection.execute(
            update(DueListingUpdate)
            .where(DueListingUpdate.update_id == update_id)
            .values(due_time=func.clock_timestamp() + seconds * _SECOND)
        )

    async def refuse(self, update_id: UUID, problem: str) -> None:
        """Says why no job can be made, until the product's next change."""
        await self._connection.execute(
            update(DueListingUpdate)
            .where(DueListingUpdate.update_id == update_id)
            .values(due_time=None, problem=problem)
        )
