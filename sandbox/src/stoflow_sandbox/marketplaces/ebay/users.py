"""The Identity API: who gave consent."""

from stoflow_sandbox.marketplaces.ebay.state import Seller
from stoflow_sandbox.marketplaces.exchange import Reply


def get_user(seller: Seller) -> Reply:
    """Answer the seller; the user id never changes, the name may."""
    content = {
        "userId": seller.user_id,
        "username": seller.username,
        "accountType": "INDIVIDUAL",
        "registrationMarketplaceId": "EBAY_US",
        "status": "CONFIRMED",
    }
    return Reply(200, content)
