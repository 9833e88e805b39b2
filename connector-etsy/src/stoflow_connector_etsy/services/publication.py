"""Puts a product on Etsy, step by step; every step may be repeated after a crash at any moment."""

from collections.abc import Iterator
from contextlib import contextmanager

from stoflow_connector_etsy.clients.listing import EtsyListing
from stoflow_connector_etsy.clients.listings import ListingsClient
from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_etsy.inventory import merged_inventory, total_quantity
from stoflow_connector_etsy.listing_terms import ListingTerms
from stoflow_connector_etsy.mapping import MARKER_START, draft_marker, form_list, listing_texts, new_draft
from stoflow_connector_etsy.notes import picture_notes, with_notes
from stoflow_connector_etsy.properties import PropertyAnswer
from stoflow_connector_etsy.services.listing_finder import ListingFinder
from stoflow_connector_etsy.services.picture_order import PictureOrder
from stoflow_connector_etsy.services.preflight import Preflight
from stoflow_connector_etsy.services.sellers import seller_of
from stoflow_connector_sdk import (
    Absent,
    ConnectorError,
    EffectMode,
    EffectOutcome,
    Found,
    NeedsHumanError,
    RetryableError,
    TaskContext,
    TaskResult,
    Unclear,
    effect_so_far,
)


class EtsyPublicationService:
    """The steps of publish."""

    def __init__(
        self,
        listings: ListingsClient,
        finder: ListingFinder,
        pictures: PictureOrder,
        preflight: Preflight,
        settle_seconds: float = 0.0,
    ) -> None:
        """Takes how long after a request was sent its effect may still appear at Etsy, in seconds."""
        self._listings = listings
        self._finder = finder
        self._pictures = pictures
        self._preflight = preflight
        self._settle_seconds = settle_seconds

    async def preflight(self, task: TaskContext) -> TaskResult:
        """Asks Etsy for all that could keep it from taking the listing, before anything is made."""
        answers = await self._preflight.check(seller_of(task), ListingTerms.from_task(task))
        return TaskResult({"properties": [answer.to_json() for answer in answers]})

    async def create_draft(self, task: TaskContext) -> TaskResult:
        """Creates a draft that carries the effect's reference; nothing at Etsy refuses a second one."""
        terms = ListingTerms.from_task(task)
        draft = await self._listings.create_draft(seller_of(task), new_draft(terms, _reference(task)))
        is_first = task.effect is None or task.effect.mode is EffectMode.EXECUTE
        return _drafted(task, draft, is_doubtful=not is_first)

    async def probe_draft(self, task: TaskContext) -> Found | Absent | Unclear:
        """Looks for what was made before, then for a draft with the reference, through all drafts."""
        seller = seller_of(task)
        with _effect(EffectOutcome.UNKNOWN):
            if task.effect is not None and task.effect.remote_id.isdigit():
                known = await self._listings.find(seller, int(task.effect.remote_id))
                if known is not None:
                    return Found(_drafted(task, known, is_doubtful=True))
            drafts = await self._finder.drafts_with(seller, draft_marker(_reference(task)))
        return Found(_drafted(task, drafts[0], is_doubtful=True)) if drafts else Absent()

    async def adopt_draft(self, task: TaskContext) -> TaskResult:
        """Takes the draft or listing that a person named."""
        named = "" if task.effect is None else task.effect.remote_id
        with _effect(EffectOutcome.UNKNOWN):
            found = await self._listings.find(seller_of(task), int(named)) if named.isdigit() else None
            if found is None:
                raise NeedsHumanError(f"Etsy knows no listing {named!r}.", code="LISTING_UNKNOWN")
        return _drafted(task, found, is_doubtful=True)

    async def upload_image(self, task: TaskContext) -> TaskResult:
        """Adds one picture to the draft, after removing what an attempt before left there unknown."""
        # What an attempt before sent, it sent before this one began.
        stray_until = task.clock.now().timestamp() + self._settle_seconds if task.attempt > 1 else 0.0
        seller, listing_id = seller_of(task), _listing_id(task)
        index = task.item_index or 0
        earlier = [int(image_id) for image_id in _image_ids(task)]
        if _state(task) != "draft" and await self._pictures.count(seller, listing_id) > len(earlier):
            # A listing that buyers know keeps its pictures: which of them are the seller's own cannot be told.
            return TaskResult({"imageId": ""})
        await self._pictures.drop_others(seller, listing_id, earlier)
        image_id = await self._pictures.upload(seller, listing_id, task, index)
        return TaskResult({"imageId": str(image_id), "strayUntil": stray_until})

    async def arrange_images(self, task: TaskContext) -> TaskResult:
        """Counts the pictures, removes strays, restores what is missing and repairs the order."""
        wanted = [int(image_id) for image_id in _image_ids(task)]
        if not wanted:
            return TaskResult({"imageIds": []})
        await _outwait_strays(task)
        ids = await self._pictures.arrange(seller_of(task), _listing_id(task), task, wanted)
        return TaskResult({"imageIds": [str(image_id) for image_id in ids]})

    async def put_inventory(self, task: TaskContext) -> TaskResult:
        """Writes SKU, price and stock, and keeps whatever else the inventory has."""
        terms, seller, listing_id = ListingTerms.from_task(task), seller_of(task), _listing_id(task)
        if _state(task) == "sold_out":
            # Activating renews it with a quantity of one, whatever is written now.
            return TaskResult({"isDeferred": True})
        await self._write_inventory(seller, listing_id, terms)
        return TaskResult({"sku": terms.content.sku})

    async def finish_draft(self, task: TaskContext) -> TaskResult:
        """Sets properties and texts, with which the reference leaves the description; sweeps other drafts of ours."""
        terms, seller, listing_id = ListingTerms.from_task(task), seller_of(task), _listing_id(task)
        if task.outputs["create_draft"].get("isDoubtful"):
            await self._sweep(seller, listing_id, str(task.outputs["create_draft"]["reference"]))
        for entry in task.outputs["preflight"].get("properties") or ():
            await self._put_property(seller, listing_id, PropertyAnswer.from_json(entry))
        listing = await self._listings.update(seller, listing_id, listing_texts(terms))
        if MARKER_START in listing.description:
            raise RetryableError(
                f"Etsy kept the reference in the description of listing {listing_id}.",
                effect=effect_so_far(),
                code="REFERENCE_KEPT",
            )
        return TaskResult({"listingId": str(listing_id)})

    async def activate(self, task: TaskContext) -> TaskResult:
        """Shows the listing to buyers, which costs the listing fee, unless they see it already."""
        terms, seller, listing_id = ListingTerms.from_task(task), seller_of(task), _listing_id(task)
        with _effect(EffectOutcome.NOT_SENT):
            before = await self._require(seller, listing_id)
        if before.state == "active":
            return _live(task, before, terms)
        after = await self._listings.update(seller, listing_id, {"state": "active"})
        if after.state != "active":
            raise RetryableError(
                f"Etsy left listing {listing_id} {after.state} when asked to activate it.",
                code="NOT_ACTIVATED",
            )
        if before.state == "sold_out":
            with _effect(EffectOutcome.DONE):
                await self._write_inventory(seller, listing_id, terms)
        return _live(task, after, terms)

    async def probe_listing(self, task: TaskContext) -> Found | Absent | Unclear:
        """Looks whether buyers see the listing, and with what it renewed an inventory of one piece."""
        terms, seller = ListingTerms.from_task(task), seller_of(task)
        with _effect(EffectOutcome.UNKNOWN):
            listing = await self._listings.find(seller, _listing_id(task), with_inventory=True)
            if listing is None:
                return Unclear(
                    f"Listing {_listing_id(task)} is gone from Etsy; whether to list again is the seller's."
                )
            if listing.state != "active":
                return Absent()
            if _state(task) == "sold_out" and listing.inventory is not None:
                if total_quantity(listing.inventory) != terms.content.stock_quantity:
                    await self._write_inventory(seller, listing.listing_id, terms)
        return Found(_live(task, listing, terms))

    async def adopt_listing(self, task: TaskContext) -> TaskResult:
        """Takes the listing that a person named."""
        named = "" if task.effect is None else task.effect.remote_id
        with _effect(EffectOutcome.UNKNOWN):
            found = await self._listings.find(seller_of(task), int(named)) if named.isdigit() else None
            if found is None:
                raise NeedsHumanError(f"Etsy knows no listing {named!r}.", code="LISTING_UNKNOWN")
        return _live(task, found, ListingTerms.from_task(task))

    async def _require(self, seller: Seller, listing_id: int) -> EtsyListing:
        found = await self._listings.find(seller, listing_id)
        if found is None:
            raise NeedsHumanError(
                f"Listing {listing_id} is gone from Etsy; whether to list again is the seller's decision.",
                code="LISTING_GONE",
            )
        return found

    async def _write_inventory(self, seller: Seller, listing_id: int, terms: ListingTerms) -> None:
        existing = await self._listings.get_inventory(seller, listing_id)
        await self._listings.put_inventory(seller, listing_id, merged_inventory(existing, terms))

    async def _put_property(self, seller: Seller, listing_id: int, answer: PropertyAnswer) -> None:
        form = {"value_ids": form_list(answer.value_ids), "values": form_list(answer.values)}
        if answer.scale_id:
            form["scale_id"] = str(answer.scale_id)
        await self._listings.put_property(seller, listing_id, answer.property_id, form)

    async def _sweep(self, seller: Seller, listing_id: int, reference: str) -> None:
        """Deletes drafts with our reference beside ours: one of a request that was given up, and came late."""
        for draft in await self._finder.drafts_with(seller, draft_marker(reference)):
            if draft.listing_id != listing_id:
                await self._listings.delete(seller, draft.listing_id)


@contextmanager
def _effect(outcome: EffectOutcome) -> Iterator[None]:
    """Says what a failure inside tells of the step's effect; a request knows only of itself."""
    try:
        yield
    except ConnectorError as error:
        error.effect = outcome
        raise


def _drafted(task: TaskContext, listing: EtsyListing, *, is_doubtful: bool) -> TaskResult:
    return TaskResult(
        {
            "listingId": listing.remote_id,
            "state": listing.state,
            "reference": _reference(task),
            # Whether an attempt before may have made another draft, which shows itself late.
            "isDoubtful": is_doubtful,
        },
        remote_id=listing.remote_id,
    )


def _live(task: TaskContext, listing: EtsyListing, terms: ListingTerms) -> TaskResult:
    change = listing.change(price=terms.content.price, sku=terms.content.sku)
    arranged = next(iter(task.outputs.list("arrange_images")), {}).get("imageIds") or ()
    notes = picture_notes(task.product.images, [int(image_id) for image_id in arranged])
    return TaskResult(
        {"listingId": listing.remote_id, "url": listing.url},
        remote_id=listing.remote_id,
        listing=with_notes(change, notes),
    )


def _reference(task: TaskContext) -> str:
    return "" if task.effect is None else task.effect.reference


def _listing_id(task: TaskContext) -> int:
    return int(str(task.outputs["create_draft"]["listingId"]))


def _state(task: TaskContext) -> str:
    return str(task.outputs["create_draft"].get("state") or "")


async def _outwait_strays(task: TaskContext) -> None:
    """Waits until no picture can appear any more that an attempt without an answer sent: buyers would see it twice."""
    until = (float(output.get("strayUntil") or 0.0) for output in task.outputs.list("upload_image"))
    remaining = max(until, default=0.0) - task.clock.now().timestamp()
    if remaining > 0:
        await task.wait(remaining)


def _image_ids(task: TaskContext) -> list[str]:
    found = (str(output.get("imageId") or "") for output in task.outputs.list("upload_image"))
    return [image_id for image_id in found if image_id]
