"""Asks eBay before the first write whether a listing can be made, and says everything that is in its way."""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

from stoflow_connector_ebay.clients.account import POLICY_KINDS, AccountClient
from stoflow_connector_ebay.clients.application import ApplicationTokens
from stoflow_connector_ebay.clients.location import LocationClient
from stoflow_connector_ebay.clients.reference import NoLeafError, ReferenceClient
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.errors import EbayRefusedError
from stoflow_connector_ebay.expiring import ExpiringCache
from stoflow_connector_ebay.listing_terms import ListingTerms
from stoflow_connector_ebay.requirements import (
    CategoryFacts,
    SellerFacts,
    category_violations,
    picture_violations,
    seller_violations,
)
from stoflow_connector_sdk import EffectOutcome, PermanentError, TaskContext, Violation
from stoflow_service_kit.clock import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# A seller changes policies and locations seldom, eBay its categories some times a year; and a problem is never said on
# the strength of what is kept.
SELLER_SECONDS: Final = 600.0
CATEGORY_SECONDS: Final = 86_400.0
# "User is not eligible for Business Policy" and its kin: the Account API refuses to name policies.
_NO_POLICIES: Final = frozenset({20403})


class Preflight:
    """Knows what sellers have set up and what categories ask for, for a while."""

    def __init__(
        self,
        account: AccountClient,
        location: LocationClient,
        reference: ReferenceClient,
        application: ApplicationTokens,
        clock: Clock,
    ) -> None:
        self._account = account
        self._location = location
        self._reference = reference
        self._application = application
        self._sellers: ExpiringCache[tuple[str, str, str], SellerFacts] = ExpiringCache(
            clock, seconds=SELLER_SECONDS
        )
        self._categories: ExpiringCache[tuple[str, str], CategoryFacts] = ExpiringCache(
            clock, seconds=CATEGORY_SECONDS
        )

    async def check(self, task: TaskContext, terms: ListingTerms, seller: Seller) -> None:
        """Makes sure that nothing is known to be in the way of a listing.

        Raises:
            PermanentError: With a violation for everything that is.
            ConnectorError: eBay could not be asked.
        """
        site = terms.site.marketplace_id
        violations = [
            *picture_violations(task.product.images),
            *await _judge(
                self._sellers,
                (task.account_id, site, terms.merchant_location_key),
                lambda: self._read_seller(seller, terms),
                lambda facts: seller_violations(facts, terms),
            ),
            *await _judge(
                self._categories,
                (site, terms.category_id),
                lambda: self._read_category(seller, terms),
                lambda facts: category_violations(facts, terms),
            ),
        ]
        if violations:
            raise PermanentError(
                "eBay would not take the listing: " + "; ".join(one.description for one in violations),
                violations=violations,
                effect=EffectOutcome.NOT_SENT,
                code="PREFLIGHT_FAILED",
            )

    async def _read_seller(self, seller: Seller, terms: ListingTerms) -> SellerFacts:
        privileges = await self._account.get_privileges(seller)
        limit: Mapping[str, Any] = privileges.get("sellingLimit") or {}
        quantity, amount = limit.get("quantity"), limit.get("amount") or {}
        return SellerFacts(
            policy_ids=await self._read_policies(seller),
            location_status=await self._location.find_status(seller, terms.merchant_location_key),
            is_registered=bool(privileges["sellerRegistrationCompleted"]),
            most_quantity=quantity if isinstance(quantity, int) else None,
            most_amount=(Decimal(str(amount["value"])), str(amount["currency"]))
            if amount.get("value") and amount.get("currency")
            else None,
        )

    async def _read_policies(self, seller: Seller) -> Mapping[str, frozenset[str]] | None:
        try:
            return {kind: await self._account.list_policy_ids(seller, kind) for kind in POLICY_KINDS}
        except EbayRefusedError as error:
            if error.has(_NO_POLICIES):
                return None
            raise

    async def _read_category(self, seller: Seller, terms: ListingTerms) -> CategoryFacts:
        # What eBay tells to anybody needs no seller's consent, and counts against the application's own limits.
        application = Seller(seller.site, self._application.get_access_token)
        tree_id = await self._reference.find_tree_id(application)
        if tree_id is None:
            # Some sites are sold on but not described; publishing tells.
            return CategoryFacts()
        try:
            aspects = await self._reference.list_aspects(application, tree_id, terms.category_id)
        except NoLeafError as error:
            return CategoryFacts(problem=str(error))
        return CategoryFacts(
            aspects=tuple(aspects),
            conditions=await self._reference.find_conditions(application, terms.category_id),
        )


async def _judge(
    cache: ExpiringCache[K, V],
    key: K,
    read: Callable[[], Awaitable[V]],
    violations_of: Callable[[V], list[Violation]],
) -> list[Violation]:
    answer = await cache.get(key, read)
    found = violations_of(answer.value)
    if found and not answer.is_fresh:
        # Repaired meanwhile, perhaps: a problem is said only of what eBay says now.
        answer = await cache.get(key, read, afresh=True)
        found = violations_of(answer.value)
    return found
