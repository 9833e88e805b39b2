"""eBay's Taxonomy API v1 and Metadata API v1: what each category of a site asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from stoflow_connector_ebay.clients.caller import EbayCaller
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.errors import EbayRefusedError
from stoflow_connector_sdk import MarketplaceHttpClient

_TAXONOMY: Final = "/commerce/taxonomy/v1"
_METADATA: Final = "/sell/metadata/v1"
# The site has no category tree, the tree has no such category, or it is no leaf.
_NO_TREE: Final = frozenset({62003})
_NO_LEAF: Final = frozenset({62005, 62008, 62009})


class NoLeafError(Exception):
    """The category is none that a listing may name; the message says why, in eBay's words."""


@dataclass(frozen=True, slots=True)
class AspectRule:
    """What a category asks of one item specific.

    Attributes:
        name: Its name in the site's language.
        is_required: Whether a listing must have it.
        is_single: Whether it takes one value only.
        values: The only values that it takes; empty for free text.
        max_length: Longest value; 0 when the document names none.
    """

    name: str
    is_required: bool
    is_single: bool
    values: frozenset[str]
    max_length: int


@dataclass(frozen=True, slots=True)
class ConditionRule:
    """Which conditions a category takes.

    Attributes:
        is_required: Whether a listing must name one.
        condition_ids: eBay's ids of those that it takes.
    """

    is_required: bool
    condition_ids: frozenset[str]


class ReferenceClient:
    """Calls the two APIs; every method may also raise what EbayCaller does."""

    def __init__(self, http: MarketplaceHttpClient, api_url: str) -> None:
        self._taxonomy = EbayCaller(http, f"{api_url}{_TAXONOMY}")
        self._metadata = EbayCaller(http, f"{api_url}{_METADATA}")

    async def find_tree_id(self, application: Seller) -> str | None:
        """Returns the id of the site's category tree; None when the Taxonomy API does not know the site."""
        site = application.site.marketplace_id
        try:
            content = await self._taxonomy.get(
                application,
                "/get_default_category_tree_id",
                f"name the category tree of {site}",
                requires="categoryTreeId",
                params={"marketplace_id": site},
            )
        except EbayRefusedError as error:
            if error.has(_NO_TREE):
                return None
            raise
        return str(content["categoryTreeId"])

    async def list_aspects(self, application: Seller, tree_id: str, category_id: str) -> list[AspectRule]:
        """Returns the item specifics of a leaf.

        Raises:
            NoLeafError: It is none of this tree.
        """
        try:
            content = await self._taxonomy.get(
                application,
                f"/category_tree/{quote(tree_id, safe='')}/get_item_aspects_for_category",
                f"list the item specifics of category {category_id}",
                # 204, an answer of the document without a body, says that there are none.
                requires="",
                params={"category_id": category_id},
            )
        except EbayRefusedError as error:
            if error.has(_NO_LEAF):
                raise NoLeafError("; ".join(fault.message for fault in error.faults)) from error
            raise
        return [_aspect(aspect) for aspect in content.get("aspects") or []]

    async def find_conditions(self, application: Seller, category_id: str) -> ConditionRule | None:
        """Returns which conditions a category takes; None when eBay says nothing of it."""
        site = application.site.marketplace_id
        content = await self._metadata.get(
            application,
            f"/marketplace/{site}/get_item_condition_policies",
            f"list the conditions of category {category_id}",
            requires="itemConditionPolicies",
            params={"filter": f"categoryIds:{{{category_id}}}"},
        )
        policies = [
            policy
            for policy in content["itemConditionPolicies"]
            if str(policy.get("categoryId")) == category_id
        ]
        if not policies:
            return None
        return ConditionRule(
            is_required=bool(policies[0].get("itemConditionRequired")),
            condition_ids=frozenset(
                str(condition.get("conditionId")) for condition in policies[0].get("itemConditions") or []
            ),
        )


def _aspect(content: dict[str, Any]) -> AspectRule:
    constraint = content.get("aspectConstraint") or {}
    listed: Sequence[dict[str, Any]] = content.get("aspectValues") or []
    is_closed = constraint.get("aspectMode") == "SELECTION_ONLY"
    return AspectRule(
        name=str(content.get("localizedAspectName") or ""),
        is_required=bool(constraint.get("aspectRequired")),
        is_single=constraint.get("itemToAspectCardinality") == "SINGLE",
        values=frozenset(str(value.get("localizedValue")) for value in listed) if is_closed else frozenset(),
        max_length=int(constraint.get("aspectMaxLength") or 0),
    )
