"""The calls below /api/v2 that are modelled."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from stoflow_sandbox.marketplaces.exchange import Reply
from stoflow_sandbox.marketplaces.vinted.context import Request
from stoflow_sandbox.marketplaces.vinted.items import create_item, delete_item, get_item, update_item
from stoflow_sandbox.marketplaces.vinted.orders import get_label, get_transaction, list_orders
from stoflow_sandbox.marketplaces.vinted.wardrobe import list_wardrobe

Rule = Callable[[Request], Reply]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call. `rule` None marks the photo upload, whose form is read first."""

    name: str
    method: str
    template: str
    rule: Rule | None


OPERATIONS = (
    Operation("uploadPhoto", "POST", "/photos", None),
    Operation("createItem", "POST", "/item_upload/items", create_item),
    Operation("getItem", "GET", "/item_upload/items/{item_id}", get_item),
    Operation("updateItem", "PUT", "/item_upload/items/{item_id}", update_item),
    Operation("deleteItem", "POST", "/items/{item_id}/delete", delete_item),
    Operation("listWardrobe", "GET", "/wardrobe/{user_id}/items", list_wardrobe),
    Operation("listOrders", "GET", "/my_orders", list_orders),
    Operation("getTransaction", "GET", "/transactions/{transaction_id}", get_transaction),
    Operation("getLabel", "GET", "/shipments/{shipment_id}/label_url", get_label),
)


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("/api/v2" + re.sub(r"\{(\w+)\}", r"(?P<\1>[0-9]+)", template))


_PATTERNS = tuple((operation, _pattern(operation.template)) for operation in OPERATIONS)


def find_operation(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """Return the operation and the numbers in its path."""
    for operation, pattern in _PATTERNS:
        if operation.method == method and (match := pattern.fullmatch(path)):
            return operation, match.groupdict()
    return None
