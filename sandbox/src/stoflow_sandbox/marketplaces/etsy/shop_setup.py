"""What a shop has set up before it sells: shipping profiles, return policies, processing profiles."""

from typing import Any

from stoflow_sandbox.marketplaces.etsy.state import Ids, Seller
from stoflow_sandbox.marketplaces.exchange import Reply

# A shop based in one of these needs no return policy: updateListing's return_policy_id in the document.
EUROPEAN_UNION = frozenset(
    {
        *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"),
        *("IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
    }
)


def set_up_shop(seller: Seller, ids: Ids) -> None:
    """Give a shop one of each, where it has none."""
    if not seller.shipping_profiles:
        seller.shipping_profiles = [_shipping_profile(seller, ids)]
    if not seller.return_policies:
        seller.return_policies = [
            {
                "return_policy_id": ids.next("setup"),
                "shop_id": seller.shop_id,
                "accepts_returns": True,
                "accepts_exchanges": False,
                "return_deadline": 30,
            }
        ]
    if not seller.readiness_states:
        seller.readiness_states = [
            {
                "shop_id": seller.shop_id,
                "readiness_state_id": ids.next("setup"),
                "readiness_state": "ready_to_ship",
                "min_processing_days": 1,
                "max_processing_days": 3,
                "processing_days_display_label": "1 - 3 days",
            }
        ]


def _shipping_profile(seller: Seller, ids: Ids) -> dict[str, Any]:
    profile_id, country = ids.next("setup"), seller.country

    def money(amount: int) -> dict[str, Any]:
        return {"amount": amount, "divisor": 100, "currency_code": seller.currency}

    destination = {
        "shipping_profile_destination_id": ids.next("setup"),
        "shipping_profile_id": profile_id,
        "origin_country_iso": country,
        "destination_country_iso": country,
        "destination_region": "none",
        "primary_cost": money(490),
        "secondary_cost": money(200),
        "shipping_carrier_id": None,
        "mail_class": None,
        "min_delivery_days": 3,
        "max_delivery_days": 5,
    }
    return {
        "shipping_profile_id": profile_id,
        "title": "Standard",
        "user_id": seller.user_id,
        "origin_country_iso": country,
        "is_deleted": False,
        "shipping_profile_destinations": [destination],
        "shipping_profile_upgrades": [],
        "origin_postal_code": None,
        "profile_type": "manual",
        "domestic_handling_fee": 0.0,
        "international_handling_fee": 0.0,
    }


def has_shipping_profile(seller: Seller, profile_id: int | None) -> bool:
    return any(one["shipping_profile_id"] == profile_id for one in seller.shipping_profiles)


def has_return_policy(seller: Seller, policy_id: int | None) -> bool:
    return any(one["return_policy_id"] == policy_id for one in seller.return_policies)


def has_readiness_state(seller: Seller, readiness_state_id: int | None) -> bool:
    return any(one["readiness_state_id"] == readiness_state_id for one in seller.readiness_states)


def reference_violations(seller: Seller, fields: dict[str, Any]) -> list[str]:
    """Return a violation for each id among the fields that is none of this shop's."""
    checks = (
        ("shipping_profile_id", has_shipping_profile),
        ("return_policy_id", has_return_policy),
        ("readiness_state_id", has_readiness_state),
    )
    return [
        f"Invalid {name}: {fields[name]} does not belong to this shop."
        for name, check in checks
        if fields.get(name) is not None and not check(seller, fields[name])
    ]


def list_of(results: list[dict[str, Any]]) -> Reply:
    return Reply(200, {"count": len(results), "results": results})


def shop_view(seller: Seller, base_url: str, since: int) -> dict[str, Any]:
    """Return a shop; texts that only a person reads are empty."""
    texts = (
        "announcement", "vacation_message", "sale_message", "digital_sale_message", "policy_welcome",
        "policy_payment", "policy_shipping", "policy_refunds", "policy_additional", "policy_seller_info",
        "policy_privacy", "vacation_autoreply", "image_url_760x100", "icon_url_fullxfull",
    )  # fmt: skip
    switches = (
        "is_vacation", "accepts_custom_requests", "policy_has_private_receipt_info", "include_dispute_form_link",
        "has_unstructured_policies", "is_calculated_eligible", "is_opted_in_to_buyer_promise",
    )  # fmt: skip
    return {
        **dict.fromkeys(texts, None),
        **dict.fromkeys(switches, False),
        **dict.fromkeys(("create_date", "created_timestamp", "update_date", "updated_timestamp"), since),
        **dict.fromkeys(("policy_update_date", "num_favorers", "transaction_sold_count"), 0),
        "shop_id": seller.shop_id,
        "user_id": seller.user_id,
        "shop_name": seller.username,
        "login_name": seller.username,
        "title": seller.username,
        "currency_code": seller.currency,
        "listing_active_count": sum(one.state == "active" for one in seller.listings.values()),
        "digital_listing_count": 0,
        "url": f"{base_url}/shop/{seller.shop_id}",
        "languages": ["en-US"],
        "is_using_structured_policies": True,
        "has_onboarded_structured_policies": True,
        "is_direct_checkout_onboarded": True,
        "is_etsy_payments_onboarded": True,
        "is_shop_us_based": seller.country == "US",
        "shipping_from_country_iso": seller.country,
        "shop_location_country_iso": seller.country,
        "review_count": None,
        "review_average": None,
    }
