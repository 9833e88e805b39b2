"""The Taxonomy API and the conditions of the Metadata API, over the small tree of `catalogue`."""

import re
from typing import Any

from stoflow_sandbox.marketplaces.ebay.catalogue import (
    CATEGORIES,
    CONDITION_IDS,
    ROOT_ID,
    SITES,
    TREE_IDS,
    TREE_VERSION,
    Aspect,
    Category,
    ancestors,
    leaves_below,
    suggest,
)
from stoflow_sandbox.marketplaces.ebay.errors import EbayError, ebay_error, refuse
from stoflow_sandbox.marketplaces.exchange import Reply

FILTER_LIMIT = 50


def get_default_tree(marketplace_id: str | None) -> Reply:
    if not marketplace_id:
        return refuse(400, ebay_error(62002))
    if marketplace_id not in SITES:
        return refuse(400, ebay_error(62003, marketplace_id=marketplace_id))
    return Reply(200, {"categoryTreeId": SITES[marketplace_id][0], "categoryTreeVersion": TREE_VERSION})


def get_suggestions(tree_id: str, query: str | None, base_url: str) -> Reply:
    """Answer leaves for a few words; 204 when none fits."""
    if tree_id not in TREE_IDS:
        return refuse(404, ebay_error(62004, category_tree_id=tree_id))
    if not query or not query.strip():
        return refuse(400, ebay_error(62007))
    found = suggest(query)
    if not found:
        return Reply(204)
    suggestions = [_suggestion(leaf, tree_id, base_url) for leaf in found]
    content = {
        "categorySuggestions": suggestions,
        "categoryTreeId": tree_id,
        "categoryTreeVersion": TREE_VERSION,
    }
    return Reply(200, content)


def _suggestion(leaf: Category, tree_id: str, base_url: str) -> dict[str, Any]:
    above = ancestors(leaf)
    href = f"{base_url}/commerce/taxonomy/v1/category_tree/{tree_id}/get_category_subtree?category_id="
    return {
        "category": {"categoryId": leaf.category_id, "categoryName": leaf.name},
        "categoryTreeNodeLevel": len(above) + 1,
        "categoryTreeNodeAncestors": [
            {
                "categoryId": node.category_id,
                "categoryName": node.name,
                "categoryTreeNodeLevel": len(above) - position,
                "categorySubtreeNodeHref": f"{href}{node.category_id}",
            }
            for position, node in enumerate(above)
        ],
    }


def get_aspects(tree_id: str, category_id: str | None) -> Reply:
    """Answer the item specifics of a leaf."""
    if tree_id not in TREE_IDS:
        return refuse(404, ebay_error(62004, category_tree_id=tree_id))
    if not category_id:
        return refuse(400, ebay_error(62006))
    if category_id == ROOT_ID:
        return refuse(400, ebay_error(62008))
    category = CATEGORIES.get(category_id)
    if category is None:
        return refuse(400, ebay_error(62005, category_id=category_id))
    if not category.is_leaf:
        return refuse(400, ebay_error(62009, category_id=category_id))
    return Reply(200, {"aspects": [_aspect_view(aspect) for aspect in category.aspects]})


def _aspect_view(aspect: Aspect) -> dict[str, Any]:
    return {
        "localizedAspectName": aspect.name,
        "aspectConstraint": {
            "aspectDataType": "STRING",
            "aspectEnabledForVariations": aspect.name in ("Size", "Color"),
            "aspectMaxLength": aspect.max_length,
            "aspectMode": "SELECTION_ONLY" if aspect.is_selection_only else "FREE_TEXT",
            "aspectRequired": aspect.is_required,
            "aspectUsage": "RECOMMENDED" if aspect.is_required else "OPTIONAL",
            "itemToAspectCardinality": "MULTI" if aspect.is_multiple else "SINGLE",
        },
        "aspectValues": [{"localizedValue": value} for value in aspect.values],
    }


def get_condition_policies(marketplace_id: str, filter_text: str | None) -> Reply:
    """Answer the conditions of the leaves at or below the categories in the filter, or of every leaf."""
    if marketplace_id not in SITES:
        return refuse(400, ebay_error(46001, marketplace_id=marketplace_id))
    warnings: list[EbayError] = []
    chosen = list(CATEGORIES.values())
    if filter_text:
        match = re.fullmatch(r"categoryIds:\{([0-9|]+)\}", filter_text)
        if match is None:
            return refuse(400, ebay_error(46002, filter=filter_text))
        wanted = match[1].split("|")[:FILTER_LIMIT]
        warnings = [ebay_error(46003, one, categoryId=one) for one in wanted if one not in CATEGORIES]
        chosen = [CATEGORIES[one] for one in wanted if one in CATEGORIES]
    leaves = {leaf.category_id: leaf for category in chosen for leaf in leaves_below(category)}
    tree_id = SITES[marketplace_id][0]
    content: dict[str, Any] = {"itemConditionPolicies": [_policy(leaf, tree_id) for leaf in leaves.values()]}
    return Reply(200, content | ({"warnings": warnings} if warnings else {}))


def _policy(leaf: Category, tree_id: str) -> dict[str, Any]:
    conditions = [CONDITION_IDS[name] for name in leaf.conditions]
    return {
        "categoryId": leaf.category_id,
        "categoryTreeId": tree_id,
        "itemConditionRequired": True,
        "itemConditions": [
            {"conditionId": condition_id, "conditionDescription": label} for condition_id, label in conditions
        ],
    }
