"""What a buyer's browser sees: the listing page and the pictures."""

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from stoflow_sandbox.marketplaces.etsy.marketplace import EtsyMarketplace
from stoflow_sandbox.marketplaces.etsy.state import Listing, Seller
from stoflow_sandbox.marketplaces.etsy.views import image_views

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} | Etsy sandbox</title></head>
<body style="font-family: sans-serif; max-width: 50em; margin: 2em auto">
<p>Etsy sandbox: nothing here is for sale.</p>
<h1>{title}</h1>
<p><strong>{price}</strong> &middot; {quantity} available &middot; made {when_made} &middot; sold by {seller}</p>
<p>Listing {listing_id}, {state}</p>
<p>{pictures}</p>
<div style="white-space: pre-line">{description}</div>
<p>{tags}</p>
</body></html>
"""


class Pages:
    """Pages that need no token."""

    def __init__(self, marketplace: EtsyMarketplace) -> None:
        self._marketplace = marketplace

    def routes(self) -> list[Route]:
        return [
            Route("/listing/{listing_id:int}", self.show_listing, methods=["GET"]),
            Route("/il/{token}/{name}", self.show_picture, methods=["GET"]),
        ]

    async def show_listing(self, request: Request) -> Response:
        found = self._marketplace.world.find_listing(request.path_params["listing_id"])
        # A draft has no page: only the seller knows of it.
        if found is None or found[1].state == "draft":
            return PlainTextResponse("This listing does not exist.", 404)
        return HTMLResponse(render(*found, str(request.base_url).rstrip("/")))

    async def show_picture(self, request: Request) -> Response:
        image = self._marketplace.world.find_image(request.path_params["token"])
        content = self._marketplace.store.picture(image.digest) if image is not None else None
        if image is None or content is None:
            return PlainTextResponse("No such picture.", 404)
        return Response(content, media_type=image.media_type)


def render(seller: Seller, listing: Listing, base_url: str) -> str:
    """Return the page; texts are escaped."""
    pictures = (
        f'<img src="{escape(view["url_fullxfull"])}" alt="{escape(view["alt_text"] or "")}" height="160">'
        for view in image_views(seller, listing, base_url)
    )
    return _PAGE.format(
        title=escape(listing.fields["title"]),
        price=escape(f"{listing.price_minor / 100:.2f} {seller.currency}"),
        quantity=listing.quantity,
        when_made=escape(listing.fields["when_made"]),
        seller=escape(seller.username),
        listing_id=listing.listing_id,
        state=escape(listing.state),
        pictures=" ".join(pictures),
        description=escape(listing.fields["description"]),
        tags=escape(", ".join(listing.fields.get("tags") or [])),
    )
