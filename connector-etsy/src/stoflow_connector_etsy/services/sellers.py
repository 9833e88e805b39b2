"""On whose behalf a task calls Etsy."""

from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_etsy.shop_settings import ShopSettings
from stoflow_connector_sdk import TaskContext


def seller_of(task: TaskContext, *, ending: bool = False) -> Seller:
    """Returns the task's seller.

    Raises:
        PermanentError: The account's settings name no shop.
    """
    shop = ShopSettings.from_settings(task.account_settings)
    return Seller(shop.shop_id, task.account_id, task.get_access_token, ending)
