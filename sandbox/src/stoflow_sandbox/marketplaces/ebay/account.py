"""The Account API: business policies, privileges and programs, as a preflight reads them."""

from typing import Any

from stoflow_sandbox.marketplaces.ebay.catalogue import SITES
from stoflow_sandbox.marketplaces.ebay.errors import ebay_error, refuse
from stoflow_sandbox.marketplaces.ebay.shapes import conform, one_of
from stoflow_sandbox.marketplaces.ebay.state import POLICY_KINDS, Ids, Seller
from stoflow_sandbox.marketplaces.exchange import Effect, Reply

PROGRAMS = ("OUT_OF_STOCK_CONTROL", "PARTNER_MOTORS_DEALER", "SELLING_POLICY_MANAGEMENT")
_CATEGORY_TYPES = [{"name": "ALL_EXCLUDING_MOTORS_VEHICLES"}]
_CONTENT: dict[str, dict[str, Any]] = {
    "fulfillment": {
        "handlingTime": {"unit": "DAY", "value": 1},
        "freightShipping": False,
        "globalShipping": False,
        "localPickup": False,
        "pickupDropOff": False,
        "shippingOptions": [],
    },
    "payment": {"immediatePay": True, "paymentMethods": []},
    "return": {
        "refundMethod": "MONEY_BACK",
        "returnsAccepted": True,
        "returnPeriod": {"unit": "DAY", "value": 30},
        "returnShippingCostPayer": "BUYER",
    },
}


def make_policy(kind: str, marketplace_id: str, name: str, policy_id: str) -> dict[str, Any]:
    return {"kind": kind, "marketplaceId": marketplace_id, "name": name, "policyId": policy_id}


def add_default_policies(seller: Seller, marketplace_id: str, ids: Ids) -> None:
    """Give a seller one policy of each kind on a site, unless there is one."""
    had = {policy["kind"] for policy in seller.policies.values() if policy["marketplaceId"] == marketplace_id}
    for kind in POLICY_KINDS:
        if kind not in had:
            policy = make_policy(kind, marketplace_id, f"Default {kind} {marketplace_id}", ids.next("policy"))
            seller.policies[policy["policyId"]] = policy


def policy_view(policy: dict[str, Any]) -> dict[str, Any]:
    return {
        **_CONTENT[policy["kind"]],
        "categoryTypes": _CATEGORY_TYPES,
        "marketplaceId": policy["marketplaceId"],
        "name": policy["name"],
        f"{policy['kind']}PolicyId": policy["policyId"],
    }


def list_policies(seller: Seller, kind: str, marketplace_id: str | None) -> Reply:
    """Answer the policies of one kind on one site."""
    if not marketplace_id:
        return refuse(400, ebay_error(20401, "marketplaceId"))
    if marketplace_id not in SITES:
        return refuse(400, ebay_error(20403, "marketplaceId", marketplaceId=marketplace_id))
    if "SELLING_POLICY_MANAGEMENT" not in seller.programs:
        error = ebay_error(20403, "") | {"longMessage": "User is not eligible for Business Policy"}
        return refuse(400, error)
    chosen = [
        policy_view(policy)
        for policy in seller.policies.values()
        if policy["kind"] == kind and policy["marketplaceId"] == marketplace_id
    ]
    return Reply(200, {"total": len(chosen), f"{kind}Policies": chosen})


def get_privileges(seller: Seller) -> Reply:
    content: dict[str, Any] = {"sellerRegistrationCompleted": seller.registration_completed}
    if seller.selling_limit is not None:
        content["sellingLimit"] = seller.selling_limit
    return Reply(200, content)


def get_programs(seller: Seller) -> Reply:
    return Reply(200, {"programs": [{"programType": program} for program in seller.programs]})


def opt_in(seller: Seller, body: Any) -> Reply:
    """Opt in at once; the live API may take up to a day."""
    fields, problems = conform(body, {"programType": one_of(*PROGRAMS)})
    if problems:
        return refuse(400, *problems)
    program = fields.get("programType")
    if program is None:
        return refuse(400, ebay_error(20401, "programType"))
    if program in seller.programs:
        return refuse(409, ebay_error(25803, "programType", programType=program))
    seller.programs.append(program)
    return Reply(200, {}, effects=[Effect("program.joined", program)])
