"""Everything that one listing on one site is made of, checked before the first request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from stoflow.catalog.v1 import product_pb2

from stoflow_connector_ebay.sites import SITES, EbaySite, find_site
from stoflow_connector_sdk import EffectOutcome, PermanentError, TaskContext, Violation


@dataclass(frozen=True, slots=True)
class ListingTerms:
    """What a publish task works with.

    Attributes:
        site: Where the listing goes.
        content: What the seller says of the product, with this marketplace's own values applied.
        category_id: eBay's leaf category.
        condition: A value of eBay's ConditionEnum.
        fulfillment_policy_id: The seller's business policy for shipping on this site.
        payment_policy_id: The one for payment.
        return_policy_id: The one for returns.
        merchant_location_key: The seller's inventory location.
    """

    site: EbaySite
    content: product_pb2.ProductContent
    category_id: str
    condition: str
    fulfillment_policy_id: str
    payment_policy_id: str
    return_policy_id: str
    merchant_location_key: str

    @classmethod
    def from_task(cls, task: TaskContext) -> Self:
        """Gathers the terms.

        Raises:
            PermanentError: With every violation, none of which the manifest's schemas could see: they know
                neither the job's site nor settings that were changed after the job was created.
        """
        violations: list[Violation] = []
        site = find_site(task.site)
        if site is None:
            known = ", ".join(sorted(SITES))
            violations.append(Violation("site", f"{task.site!r} is not a site of eBay; known are {known}"))
        settings = _site_settings(task.account_settings, task.site, violations)
        content = task.product.content
        if site is not None and content.price.currency_code != site.currency:
            violations.append(
                Violation(
                    "product.content.price.currencyCode",
                    f"{site.marketplace_id} sells in {site.currency}, not in {content.price.currency_code}",
                )
            )
        violations += [
            Violation(f"mappings.{name}", f"the product's {name} has no eBay equivalent")
            for name in ("category", "condition")
            if not task.mappings.get(name)
        ]
        if site is None or violations:
            raise PermanentError(
                "The listing cannot be made: " + "; ".join(entry.description for entry in violations),
                violations=violations,
                effect=EffectOutcome.NOT_SENT,
                code="LISTING_TERMS_INVALID",
            )
        return cls(
            site=site,
            content=content,
            category_id=task.mappings["category"],
            condition=task.mappings["condition"],
            fulfillment_policy_id=settings["fulfillmentPolicyId"],
            payment_policy_id=settings["paymentPolicyId"],
            return_policy_id=settings["returnPolicyId"],
            merchant_location_key=settings["merchantLocationKey"],
        )


def _site_settings(settings: Mapping[str, Any], site: str, violations: list[Violation]) -> Mapping[str, str]:
    of_site = settings.get(site)
    if not isinstance(of_site, Mapping):
        violations.append(Violation(f"account.settings.{site}", f"the account has no settings for {site}"))
        return {}
    names = ("fulfillmentPolicyId", "paymentPolicyId", "returnPolicyId", "merchantLocationKey")
    violations += [
        Violation(f"account.settings.{site}.{name}", f"{name} is not set for {site}")
        for name in names
        if not isinstance(of_site.get(name), str) or not of_site[name]
    ]
    return {name: of_site.get(name, "") for name in names}
