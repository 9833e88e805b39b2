"""Puts a product on eBay, step by step; every step may be repeated after a crash at any moment."""

from collections.abc import Iterator
from contextlib import contextmanager

from stoflow_connector_ebay.clients.inventory import InventoryClient, OfferExistsError
from stoflow_connector_ebay.clients.offer import Offer
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.errors import USER_ERROR, EbayRefusedError
from stoflow_connector_ebay.listing_terms import ListingTerms
from stoflow_connector_ebay.mapping import (
    inventory_item,
    language_of,
    new_offer,
    offer_terms,
    updated_offer,
    writable_item,
)
from stoflow_connector_ebay.merging import merge
from stoflow_connector_ebay.notes import KnownListings, ListingNotes
from stoflow_connector_ebay.services.pictures import PictureUploads, picture_urls, pictures_of
from stoflow_connector_ebay.services.preflight import Preflight
from stoflow_connector_ebay.services.results import Warnings, live, seller_of, with_warnings
from stoflow_connector_sdk import (
    Absent,
    ConnectorError,
    EffectOutcome,
    Found,
    NeedsHumanError,
    PermanentError,
    TaskContext,
    TaskResult,
    Unclear,
    Violation,
)


class EbayPublicationService:
    """The steps of publish."""

    def __init__(self, preflight: Preflight, pictures: PictureUploads, inventory: InventoryClient) -> None:
        self._preflight = preflight
        self._pictures = pictures
        self._inventory = inventory

    async def preflight(self, task: TaskContext) -> TaskResult:
        """Asks eBay whether the listing can be made, before anything is written.

        Its output names the pictures that eBay has already, of the product's listings on other sites.
        """
        terms = ListingTerms.from_task(task)
        seller = seller_of(terms, task)
        await self._preflight.check(task, terms, seller)
        known = KnownListings.on(task.site, await task.get_listings())
        if known.newest is None:
            return TaskResult()
        item = await self._inventory.find_inventory_item(seller, terms.content.sku) or {}
        shown = set((item.get("product") or {}).get("imageUrls") or [])
        # Only what the item still shows: eBay keeps those for as long as a listing does.
        pictures = {
            digest: url for digest, url in ListingNotes.of(known.newest).pictures.items() if url in shown
        }
        return TaskResult({"pictures": pictures} if pictures else {})

    async def upload_image(self, task: TaskContext) -> TaskResult:
        """Copies one picture to eBay's picture server, unless the product's listing elsewhere shows it already."""
        terms = ListingTerms.from_task(task)
        found = task.outputs["preflight"].get("pictures", {}) if "preflight" in task.outputs else {}
        return await self._pictures.upload(task, seller_of(terms, task), found)

    async def put_inventory_item(self, task: TaskContext) -> TaskResult:
        """Writes the article with all its pictures in the seller's order.

        One item serves all sites. So what another site's live listing shows of a newer product stays, and of what the
        catalogue has not changed since, and of what the seller added at eBay, nothing is lost.
        """
        terms = ListingTerms.from_task(task)
        seller = seller_of(terms, task)
        sku = terms.content.sku
        wanted = inventory_item(terms, picture_urls(task))
        known = KnownListings.on(task.site, await task.get_listings())
        if known.is_newer_than(task.product.version):
            return TaskResult({"sku": sku, "kept": "NEWER"})
        existing = await self._inventory.find_inventory_item(seller, sku)
        if existing is None:
            warnings = await self._inventory.put_inventory_item(seller, sku, wanted)
            return TaskResult(with_warnings({"sku": sku}, warnings))
        current = writable_item(existing)
        applied = ListingNotes.of(known.newest or known.here).item
        merged = merge(current, wanted, applied, overwrite=not known.is_live_elsewhere)
        if merged == current:
            return TaskResult({"sku": sku, "kept": "SAME"})
        warnings = await self._inventory.put_inventory_item(
            seller, sku, merged, language=language_of(existing)
        )
        return TaskResult(with_warnings({"sku": sku}, warnings))

    async def create_offer(self, task: TaskContext) -> TaskResult:
        """Creates the offer, or makes the existing one ours: eBay keeps one for each SKU, site and format."""
        terms = ListingTerms.from_task(task)
        seller = seller_of(terms, task)
        try:
            created = await self._inventory.create_offer(seller, new_offer(terms))
        except OfferExistsError as error:
            with _effect(EffectOutcome.DONE):
                existing = await self._inventory.get_offer(seller, error.offer_id)
            return await self._adopt(task, seller, existing, terms)
        except EbayRefusedError as error:
            if not error.has({USER_ERROR}):
                raise
            # 25002 is eBay's word for any mistake: only a look tells whether it meant that the offer exists.
            with _effect(EffectOutcome.UNKNOWN):
                found = await self._inventory.find_offer(seller, terms.content.sku)
            if found is None:
                raise
            return await self._adopt(task, seller, found, terms)
        return TaskResult(
            with_warnings({"offerId": created.offer_id}, created.warnings), remote_id=created.offer_id
        )

    async def probe_offer(self, task: TaskContext) -> Found | Absent | Unclear:
        """Looks for the offer by SKU, site and format, and makes a found one ours."""
        terms = ListingTerms.from_task(task)
        seller = seller_of(terms, task)
        with _effect(EffectOutcome.UNKNOWN):
            offer = await self._inventory.find_offer(seller, terms.content.sku)
            return Absent() if offer is None else Found(await self._adopt(task, seller, offer, terms))

    async def adopt_offer(self, task: TaskContext) -> TaskResult:
        """Makes the offer that a person named ours."""
        terms = ListingTerms.from_task(task)
        seller = seller_of(terms, task)
        offer_id = _named(task)
        with _effect(EffectOutcome.UNKNOWN):
            offer = await self._inventory.find_offer_by_id(seller, offer_id)
            if offer is None:
                raise NeedsHumanError(f"eBay knows no offer {offer_id}.", code="OFFER_UNKNOWN")
            return await self._adopt(task, seller, offer, terms)

    async def publish_offer(self, task: TaskContext) -> TaskResult:
        """Turns the offer into a live listing, unless it is one already."""
        terms = ListingTerms.from_task(task)
        seller = seller_of(terms, task)
        offer_id = _offer_id(task)
        with _effect(EffectOutcome.NOT_SENT):
            offer = await self._inventory.get_offer(seller, offer_id)
        if offer.is_live:
            return _published(task, terms, offer.listing_id)
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
            return _published(task, terms, now.listing_id)
        return _published(task, terms, published.listing_id, published.warnings)

    async def probe_listing(self, task: TaskContext) -> Found | Absent | Unclear:
        """Looks whether the offer is a listing."""
        terms = ListingTerms.from_task(task)
        with _effect(EffectOutcome.UNKNOWN):
            offer = await self._inventory.find_offer_by_id(seller_of(terms, task), _offer_id(task))
        if offer is None or not offer.is_published:
            return Absent()
        return Found(_published(task, terms, offer.listing_id)) if offer.is_live else Unclear(_ended(offer))

    async def adopt_listing(self, task: TaskContext) -> TaskResult:
        """Takes the listing that a person named."""
        return _published(task, ListingTerms.from_task(task), _named(task))

    async def _adopt(
        self, task: TaskContext, seller: Seller, offer: Offer, terms: ListingTerms
    ) -> TaskResult:
        """Makes an offer that exists ours: the same SKU may have been offered with other terms."""
        _require_same_place(offer, terms)
        with _effect(EffectOutcome.DONE):
            known = KnownListings.on(task.site, await task.get_listings())
            body = (
                None if known.shows_newer_here(task.product.version) else updated_offer(offer.content, terms)
            )
            warnings = (
                [] if body is None else await self._inventory.update_offer(seller, offer.offer_id, body)
            )
        return TaskResult(
            with_warnings({"offerId": offer.offer_id, "adopted": True}, warnings), remote_id=offer.offer_id
        )


@contextmanager
def _effect(outcome: EffectOutcome) -> Iterator[None]:
    """Says what a failure inside tells of the step's effect; a request knows only of itself."""
    try:
        yield
    except ConnectorError as error:
        error.effect = outcome
        raise


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


def _published(
    task: TaskContext, terms: ListingTerms, listing_id: str, warnings: Warnings = ()
) -> TaskResult:
    urls = picture_urls(task)
    item = inventory_item(terms, urls)
    notes = ListingNotes.applied(_offer_id(task), item, offer_terms(terms), pictures_of(task, urls))
    return live(terms, listing_id, notes, warnings=warnings)


def _offer_id(task: TaskContext) -> str:
    return str(task.outputs["create_offer"]["offerId"])


def _named(task: TaskContext) -> str:
    return "" if task.effect is None else task.effect.remote_id


def _ended(offer: Offer) -> str:
    return (
        f"eBay calls offer {offer.offer_id} published, but its listing {offer.listing_id or '(none)'} is "
        f"{offer.listing_status or 'unknown'}; whether to list again is the seller's decision."
    )
