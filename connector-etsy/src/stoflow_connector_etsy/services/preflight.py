"""What only Etsy can say of a listing before it is made: the shop's set-up and the category's properties."""

from collections.abc import Iterable, Sequence

from stoflow_connector_etsy.clients.caller import Json
from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_etsy.clients.shop import ShopClient
from stoflow_connector_etsy.listing_terms import ListingTerms, require_none
from stoflow_connector_etsy.properties import PropertyAnswer, answer_properties
from stoflow_connector_sdk import Violation

# A policy for what comes back is asked for by law in other words there: updateListing's return_policy_id.
_EUROPEAN_UNION = frozenset(
    {
        *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"),
        *("IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
    }
)


class Preflight:
    """Asks Etsy everything, and says all that is wrong at once."""

    def __init__(self, shop: ShopClient) -> None:
        self._shop = shop

    async def check(self, seller: Seller, terms: ListingTerms) -> list[PropertyAnswer]:
        """Returns the product's answers to the category's properties.

        Raises:
            PermanentError: With every violation.
        """
        violations: list[Violation] = []
        shop = await self._shop.get_shop(seller)
        currency = str(shop.get("currency_code") or "")
        if currency != terms.content.price.currency_code:
            text = f"the shop sells in {currency}, not in {terms.content.price.currency_code}"
            violations.append(Violation("product.content.price.currencyCode", text))
        await self._check_profiles(seller, terms, shop, violations)
        properties = await self._shop.find_properties(seller, terms.taxonomy_id)
        answers: Sequence[PropertyAnswer] = []
        if properties is None:
            violations.append(
                Violation("mappings.category", f"Etsy has no category {terms.taxonomy_id} in its taxonomy")
            )
        else:
            answers = answer_properties(properties, terms.content, violations)
        require_none(violations, "Etsy would not take the listing")
        return list(answers)

    async def _check_profiles(
        self, seller: Seller, terms: ListingTerms, shop: Json, violations: list[Violation]
    ) -> None:
        profiles = [
            one for one in await self._shop.list_shipping_profiles(seller) if not one.get("is_deleted")
        ]
        settings = terms.shop
        violations += _unknown(
            "shippingProfileId",
            settings.shipping_profile_id,
            profiles,
            "shipping_profile_id",
            "shipping profile",
        )
        states = await self._shop.list_readiness_states(seller)
        violations += _unknown(
            "readinessStateId",
            settings.readiness_state_id,
            states,
            "readiness_state_id",
            "processing profile",
        )
        if settings.return_policy_id:
            policies = await self._shop.list_return_policies(seller)
            violations += _unknown(
                "returnPolicyId", settings.return_policy_id, policies, "return_policy_id", "return policy"
            )
        elif str(shop.get("shop_location_country_iso") or "") not in _EUROPEAN_UNION:
            violations.append(
                Violation("account.settings.returnPolicyId", "a shop outside the European Union needs one")
            )


def _unknown(name: str, wanted: int, found: Iterable[Json], key: str, what: str) -> list[Violation]:
    known = [str(one.get(key)) for one in found]
    if str(wanted) in known:
        return []
    has = f"it has {', '.join(known)}" if known else "it has none"
    return [Violation(f"account.settings.{name}", f"the shop has no {what} {wanted}; {has}")]
