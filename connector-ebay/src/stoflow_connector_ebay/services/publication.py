"""Puts a product on eBay, step by step; every step may be repeated after a crash at any moment."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from stoflow_connector_ebay.clients.images import ImageClient
from stoflow_connector_ebay.clients.inventory import InventoryClient, OfferExistsError
from stoflow_connector_ebay.clients.media import MediaClient
from stoflow_connector_ebay.clients.offer import Offer
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.errors import USER_ERROR, EbayRefusedError
from stoflow_connector_ebay.listing_terms import ListingTerms
from stoflow_connector_ebay.mapping import inventory_item, new_offer, updated_offer
from stoflow_connector_sdk import (
    Absent,
    ConnectorError,
    EffectOutcome,
    Found,
    ListingChange,
    ListingState,
    Money,
    NeedsHumanError,
    PermanentError,
    TaskContext,
    TaskResult,
    Unclear,
    Violation,
)


class EbayPublicationService:
    """The steps of publish."""

    def __init__(self, images: ImageClient, media: MediaClient, inventory: InventoryClient) -> None:
        self._images = images
        self._media = media
        self._inventory = inventory

    async def upload_image(self, task: TaskContext) -> TaskResult:
        """Copies one picture to eBay's picture server; a repeat leaves an orphan that expires by itself."""
        seller = _seller(ListingTerms.from_task(task), task)
        image = task.image
        data = await self._images.get_bytes(image.url, image.content_sha256)
        uploaded = await self._media.create_image_from_file(seller, data, image.content_type)
        return TaskResult({"imageUrl": uploaded.url, "expirationDate": uploaded.expiration_date})

    async def put_inventory_item(self, task: TaskContext) -> TaskResult:
        """Writes the article with all its pictures in the seller's order; replaces the whole record."""
        terms = ListingTerms.from_task(task)
        body = inventory_item(terms, _image_urls(task))
        warnings = await self._inventory.put_inventory_item(_seller(terms, task), terms.content.sku, body)
        return TaskResult(_output({"sku": terms.content.sku}, warnings))

    async def create_offer(self, task: TaskContext) -> TaskResult:
        """Creates the offer, or makes the existing one ours: eBay keeps one for each SKU, site and format."""
        terms = ListingTerms.from_task(task)
        seller = _seller(terms, task)
        try:
            created = await self._inventory.create_offer(seller, new_offer(terms))
        except OfferExistsError as error:
            with _effect(EffectOutcome.DONE):
                existing = await self._inventory.get_offer(seller, error.offer_id)
            return await self._adopt(seller, existing, terms)
        except EbayRefusedError as error:
            if not error.has({USER_ERROR}):
                raise
            # 25002 is eBay's word for any mistake: only a look tells whether it meant that the offer exists.
            with _effect(EffectOutcome.UNKNOWN):
                found = await self._inventory.find_offer(seller, terms.content.sku)
            if found is None:
                raise
            return await self._adopt(seller, found, terms)
        return TaskResult(
            _output({"offerId": created.offer_id}, created.warnings), remote_id=created.offer_id
        )

    async def probe_offer(self, task: TaskContext) -> Found | Absent | Unclear:
        """Looks for the offer by SKU, site and format, and makes a found one ours."""
        terms = ListingTerms.from_task(task)
        seller = _seller(terms, task)
        with _effect(EffectOutcome.UNKNOWN):
            offer = await self._inventory.find_offer(seller, terms.content.sku)
            return Absent() if offer is None else Found(await self._adopt(seller, offer, terms))

    async def adopt_offer(self, task: TaskContext) -> TaskResult:
        """Makes the offer that a person named ours."""
        terms = ListingTerms.from_task(task)
        seller = _seller(terms, task)
        offer_id = _named(task)
        with _effect(EffectOutcome.UNKNOWN):
            offer = await self._inventory.find_offer_by_id(seller, offer_id)
            if offer is None:
                raise NeedsHumanError(f"eBay knows no offer {offer_id}.", code="OFFER_UNKNOWN")
            return await self._adopt(seller, offer, terms)

    async def publish_offer(self, task: TaskContext) -> TaskResult:
        """Turns the offer into a live listing, unless it is one already."""
        terms = ListingTerms.from_task(task)
        seller = _seller(terms, task)
        offer_id = _offer_id(task)
        with _effect(EffectOutcome.NOT_SENT):
            offer = await self._inventory.get_offer(seller, offer_id)
        if offer.is_live:
            return _live(terms, offer.listing_id)
        if offer.is_published:
            raise NeedsHumanError(_ended(offer), effect=EffectOutcome.NOT_SENT, code="LISTING_ENDED")
        try:
            published = await self._inventory.publish_offer(seller, offer_id)
        except EbayRefusedError:
            # A refusal may mean that another attempt's request came first: the offer itself tells.
            with _effect(EffectOutcome.UNKNOWN):
                now = await self._inventory.find_offer_by_id(seller, offer_id)
            if now is None or not now.is_live:
                raise
            return _live(terms, now.listing_id)
        return _live(terms, published.listing_id, published.warnings)

    async def probe_listing(self, task: TaskContext) -> Found | Absent | Unclear:
        """Looks whether the offer is a listing."""
        terms = ListingTerms.from_task(task)
        with _effect(EffectOutcome.UNKNOWN):
            offer = await self._inventory.find_offer_by_id(_seller(terms, task), _offer_id(task))
        if offer is None or not offer.is_published:
            return Absent()
        return Found(_live(terms, offer.listing_id)) if offer.is_live else Unclear(_ended(offer))

    async def adopt_listing(self, task: TaskContext) -> TaskResult:
        """Takes the listing that a person named."""
        return _live(ListingTerms.from_task(task), _named(task))

    async def _adopt(self, seller: Seller, offer: Offer, terms: ListingTerms) -> TaskResult:
        """Makes an offer that exists ours: the same SKU may have been offered with other terms."""
        _require_same_place(offer, terms)
        body = updated_offer(offer.content, terms)
        with _effect(EffectOutcome.DONE):
            warnings = (
                [] if body is None else await self._inventory.update_offer(seller, offer.offer_id, body)
            )
        return TaskResult(
            _output({"offerId": offer.offer_id, "adopted": True}, warnings), remote_id=offer.offer_id
        )


@contextmanager
def _effect(outcome: EffectOutcome) -> Iterator[None]:
    """Says what a failure inside tells of the step's effect; a request knows only of itself."""
    try:
        yield
    except ConnectorError as error:
        error.effect = outcome
        raise


def _seller(terms: ListingTerms, task: TaskContext) -> Seller:
    return Seller(terms.site, task.get_access_token)


def _require_same_place(offer: Offer, terms: ListingTerms) -> None:
    if offer.marketplace_id == terms.site.marketplace_id and offer.format == "FIXED_PRICE":
        return
    text = (
        f"eBay has a {offer.format} offer of SKU {terms.content.sku} on {offer.marketplace_id} "
        f"and takes none on {terms.site.marketplace_id} beside it"
    )
    raise PermanentError(
        f"{text}.",
        violations=[Violation("product.content.sku", text, str(USER_ERROR))],
        effect=EffectOutcome.NOT_SENT,
        code=str(USER_ERROR),
    )


def _image_urls(task: TaskContext) -> list[str]:
    urls = [str(output.get("imageUrl") or "") for output in task.outputs.list("upload_image")]
    expected = len(task.product.images)
    if len(urls) != expected or not all(urls):
        text = f"{len([url for url in urls if url])} of {expected} images are at eBay"
        raise PermanentError(
            f"The listing would lack pictures: {text}.",
            violations=[Violation("product.images", text)],
            effect=EffectOutcome.NOT_SENT,
            code="IMAGES_MISSING",
        )
    return urls


def _offer_id(task: TaskContext) -> str:
    return str(task.outputs["create_offer"]["offerId"])


def _named(task: TaskContext) -> str:
    return "" if task.effect is None else task.effect.remote_id


def _ended(offer: Offer) -> str:
    return (
        f"eBay calls offer {offer.offer_id} published, but its listing {offer.listing_id or '(none)'} is "
        f"{offer.listing_status or 'unknown'}; whether to list again is the seller's decision."
    )


def _live(
    terms: ListingTerms, listing_id: str, warnings: list[Mapping[str, Any]] | None = None
) -> TaskResult:
    url = terms.site.listing_url(listing_id)
    price = terms.content.price
    return TaskResult(
        _output({"listingId": listing_id, "url": url}, warnings or []),
        remote_id=listing_id,
        listing=ListingChange(
            remote_id=listing_id,
            url=url,
            state=ListingState.LISTING_STATE_LIVE,
            price=Money(currency_code=price.currency_code, amount_minor=price.amount_minor),
        ),
    )


def _output(values: dict[str, Any], warnings: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {**values, "warnings": warnings} if warnings else values
