"""Everything that one listing is made of, checked before the first request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from stoflow.catalog.v1 import product_pb2

from stoflow_connector_etsy.origin import when_made, who_made
from stoflow_connector_etsy.shop_settings import ShopSettings
from stoflow_connector_etsy.texts import plain_words, tag_violations, title_violations
from stoflow_connector_sdk import EffectOutcome, PermanentError, TaskContext, Violation

# The free attribute whose values become tags.
TAGS_ATTRIBUTE = "tags"


@dataclass(frozen=True, slots=True)
class ListingTerms:
    """What the steps that write a listing work with.

    Attributes:
        shop: The account's settings.
        content: What the seller says of the product, with this marketplace's own values applied.
        taxonomy_id: Etsy's category.
        who_made: A value of Etsy's who_made.
        when_made: A value of Etsy's when_made.
        tags: What buyers may search for.
        materials: What it is made of, in Etsy's letters.
    """

    shop: ShopSettings
    content: product_pb2.ProductContent
    taxonomy_id: int
    who_made: str
    when_made: str
    tags: Sequence[str]
    materials: Sequence[str]

    @property
    def is_available(self) -> bool:
        """Whether there is something to sell; Etsy has no listing with a quantity of zero."""
        return self.content.stock_quantity > 0

    @classmethod
    def from_task(cls, task: TaskContext) -> Self:
        """Gathers the terms.

        Raises:
            PermanentError: With every violation that the manifest's schemas could not see: they know neither
                settings that were changed after the job was created nor the present year.
        """
        shop = ShopSettings.from_settings(task.account_settings)
        content = task.product.content
        violations: list[Violation] = []
        category = task.mappings.get("category", "")
        if not (category.isascii() and category.isdigit()):
            violations.append(Violation("mappings.category", "the product's category has no Etsy equivalent"))
        for name, value in (
            ("shippingProfileId", shop.shipping_profile_id),
            ("readinessStateId", shop.readiness_state_id),
        ):
            if not value:
                violations.append(Violation(f"account.settings.{name}", f"{name} is not set"))
        tags = _tags(content)
        violations += title_violations(content.title)
        violations += tag_violations(tags)
        made_by = who_made(content.origin, violations)
        made_in = when_made(content.origin, task.clock.now().year, violations)
        require_none(violations, "The listing cannot be made")
        return cls(
            shop=shop,
            content=content,
            taxonomy_id=int(category),
            who_made=made_by,
            when_made=made_in,
            tags=tags,
            materials=plain_words(content.materials),
        )


def require_none(violations: Sequence[Violation], what: str) -> None:
    """Raises what is wrong, if anything is.

    Raises:
        PermanentError: With every violation.
    """
    if violations:
        raise refusal(violations, what)


def refusal(violations: Sequence[Violation], what: str) -> PermanentError:
    """Returns the error for terms of which nothing was sent."""
    return PermanentError(
        f"{what}: {'; '.join(entry.description for entry in violations)}.",
        violations=violations,
        effect=EffectOutcome.NOT_SENT,
        code="LISTING_TERMS_INVALID",
    )


def _tags(content: product_pb2.ProductContent) -> list[str]:
    named = (
        values.values for name, values in content.attributes.items() if name.casefold() == TAGS_ATTRIBUTE
    )
    return list(next(named, ()))
