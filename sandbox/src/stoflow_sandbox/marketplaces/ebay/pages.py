"""What a buyer's browser sees: the listing page and the pictures."""

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from stoflow_sandbox.marketplaces.ebay.images import is_expired
from stoflow_sandbox.marketplaces.ebay.marketplace import EbayMarketplace
from stoflow_sandbox.marketplaces.ebay.state import Listing, Seller

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} | eBay sandbox</title></head>
<body style="font-family: sans-serif; max-width: 50em; margin: 2em auto">
<p>eBay sandbox, {site}: nothing here is for sale.</p>
<h1>{title}</h1>
<p><strong>{price}</strong> &middot; {quantity} available &middot; {condition} &middot; sold by {seller}</p>
<p>Item number {listing_id}, {status}</p>
<p>{pictures}</p>
<div>{description}</div>
<table>{aspects}</table>
</body></html>
"""


class Pages:
    """Pages that need no token."""

    def __init__(self, marketplace: EbayMarketplace) -> None:
        self._marketplace = marketplace

    def routes(self) -> list[Route]:
        return [
            Route("/itm/{listing_id}", self.show_listing, methods=["GET"]),
            Route("/images/g/{token}/{name}", self.show_picture, methods=["GET"]),
        ]

    async def show_listing(self, request: Request) -> Response:
        found = self._marketplace.world.find_listing(request.path_params["listing_id"])
        if found is None:
            return PlainTextResponse("We looked everywhere: this listing does not exist.", 404)
        return HTMLResponse(render(*found))

    async def show_picture(self, request: Request) -> Response:
        token = request.path_params["token"]
        world = self._marketplace.world
        image = world.find_image(token)
        if image is None or is_expired(
            world.sellers[world.image_sellers[token]], image, self._marketplace.clock.now()
        ):
            return PlainTextResponse("No such picture.", 404)
        content = self._marketplace.store.picture(image.digest)
        if content is None:
            return PlainTextResponse("The picture's file is gone.", 404)
        return Response(content, media_type=image.media_type)


def render(seller: Seller, listing: Listing) -> str:
    """Return the page; the description is escaped, since a sandbox has no need to run a seller's HTML."""
    shown = listing.shown
    pictures = (f'<img src="{escape(url)}" alt="" height="160">' for url in shown["imageUrls"])
    rows = (
        f"<tr><th>{escape(name)}</th><td>{escape(', '.join(values))}</td></tr>"
        for name, values in shown["aspects"].items()
    )
    return _PAGE.format(
        title=escape(shown["title"] or ""),
        site=escape(listing.marketplace_id),
        price=escape(f"{shown['price']['value']} {shown['price']['currency']}"),
        quantity=shown["quantity"],
        condition=escape(shown["condition"] or ""),
        seller=escape(seller.username),
        listing_id=escape(listing.listing_id),
        status=escape(listing.status),
        pictures=" ".join(pictures),
        description=escape(shown["description"] or ""),
        aspects="".join(rows),
    )
