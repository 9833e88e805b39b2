"""What an account's settings say of its shop."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from stoflow_connector_sdk import EffectOutcome, PermanentError, Violation


@dataclass(frozen=True, slots=True)
class ShopSettings:
    """An account's settings, read; an id of 0 is not set.

    Attributes:
        shop_id: The shop.
        shipping_profile_id: How articles are sent.
        return_policy_id: What happens to what comes back; shops in the European Union need none.
        readiness_state_id: The processing profile: how soon articles are sent.
        shop_section_id: The section of the shop to list in.
    """

    shop_id: int
    shipping_profile_id: int
    return_policy_id: int
    readiness_state_id: int
    shop_section_id: int

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Reads the settings.

        Raises:
            PermanentError: They name no shop.
        """
        shop_id = _number(settings.get("shopId"))
        if not shop_id:
            raise PermanentError(
                "The account's settings name no shop.",
                violations=[
                    Violation("account.settings.shopId", "the account has no shop; connect it again")
                ],
                effect=EffectOutcome.NOT_SENT,
                code="SHOP_MISSING",
            )
        return cls(
            shop_id=shop_id,
            shipping_profile_id=_number(settings.get("shippingProfileId")),
            return_policy_id=_number(settings.get("returnPolicyId")),
            readiness_state_id=_number(settings.get("readinessStateId")),
            shop_section_id=_number(settings.get("shopSectionId")),
        )


def _number(value: Any) -> int:
    # Ids are texts in settings, since a JSON number may lose digits; a hand-written number is understood too.
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and value == int(value) and value > 0:
        return int(value)
    return 0
