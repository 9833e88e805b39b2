"""What becomes of a listing: a second product is published, gets another price, is sold once, and goes off again.

The first product stays live, for whoever looks further.
"""

from __future__ import annotations

from dataclasses import dataclass

from stoflow.catalog.v1.listing_pb2 import LISTING_STATE_ENDED, Listing
from stoflow.catalog.v1.listing_service_pb2 import ListListingsRequest
from stoflow.catalog.v1.order_pb2 import Order, OrderState
from stoflow.catalog.v1.order_service_pb2 import ListOrdersRequest
from stoflow.catalog.v1.product_pb2 import Product, ProductContent
from stoflow.catalog.v1.product_service_pb2 import GetProductRequest, UpdateProductRequest
from stoflow.common.v1.money_pb2 import Money
from stoflow.jobs.v1.job_service_pb2 import CreateJobRequest

from stoflow_sandbox.demo.api import Api
from stoflow_sandbox.demo.catalogue import DemoCatalogue
from stoflow_sandbox.demo.console import Reporter
from stoflow_sandbox.demo.errors import DemoError
from stoflow_sandbox.demo.marketplaces import ShownListing, TradingMarketplace
from stoflow_sandbox.demo.secrets_file import Secrets
from stoflow_sandbox.demo.watching import watch_until_completed

NEW_PRICE_MINOR = 1900


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the life is told.

    Attributes:
        marketplace: Where buyers can be made to buy.
        tenant_id: Whose products are sold.
        account_id: The seller's, connected.
        sandbox_url: The marketplace's address.
    """

    marketplace: TradingMarketplace
    tenant_id: int
    account_id: str
    sandbox_url: str


class ListingLife:
    """Told once; a later run finds the product sold and says so."""

    def __init__(
        self,
        api: Api,
        catalogue: DemoCatalogue,
        secrets: Secrets,
        reporter: Reporter,
        timeout_seconds: float,
    ) -> None:
        self._api = api
        self._catalogue = catalogue
        self._secrets = secrets
        self._reporter = reporter
        self._timeout_seconds = timeout_seconds

    async def tell(self, stage: Stage) -> None:
        """Publishes, changes the price, lets a buyer buy, and ends the listing.

        Raises:
            DemoError: A job did not complete, or the marketplace shows something else.
        """
        label = stage.marketplace.label
        product = await self._catalogue.ensure_second_product(stage.tenant_id)
        self._reporter.heading(f"A second product: its life on {label}")
        known = await self._find_listing(stage, product)
        if known is not None and known.state == LISTING_STATE_ENDED:
            self._reporter.step("listing", "it was sold and taken off in an earlier run")
            return
        self._reporter.step("product", product.content.title)
        await self._run(stage, "publish", product)
        listing = await self._require_listing(stage, product)
        await self._expect(stage, listing, "published", is_live=True)
        product = await self._reprice(product)
        await self._run(stage, "update", product)
        await self._expect(stage, listing, "new price", is_live=True)
        await stage.marketplace.buy(stage.sandbox_url, listing.remote_id)
        await self._run(stage, "sync_orders")
        self._show_order(await self._require_order(stage, product))
        await self._run(stage, "delete", product)
        await self._expect(stage, listing, "taken off", is_live=False)

    async def _run(self, stage: Stage, action: str, product: Product | None = None) -> None:
        request = CreateJobRequest(
            request_id=self._secrets.new_request_id(),
            tenant_id=stage.tenant_id,
            account_id=stage.account_id,
            product_id="" if product is None else product.product_id,
            action=action,
        )
        job = (await self._api.jobs.CreateJob(request)).job
        self._reporter.step("job", f"{job.job_id}, {job.action} on {stage.marketplace.label}")
        await watch_until_completed(
            self._api, job, self._reporter, self._timeout_seconds, stage.marketplace.name
        )

    async def _reprice(self, product: Product) -> Product:
        read = GetProductRequest(tenant_id=product.tenant_id, product_id=product.product_id)
        price = Money(currency_code=product.content.price.currency_code, amount_minor=NEW_PRICE_MINOR)
        request = UpdateProductRequest(
            request_id=self._secrets.new_request_id(),
            tenant_id=product.tenant_id,
            product_id=product.product_id,
            etag=(await self._api.products.GetProduct(read)).product.etag,
            content=ProductContent(price=price),
        )
        request.update_mask.paths.append("price")
        return (await self._api.products.UpdateProduct(request)).product

    async def _find_listing(self, stage: Stage, product: Product) -> Listing | None:
        request = ListListingsRequest(
            tenant_id=product.tenant_id,
            product_id=product.product_id,
            account_id=stage.account_id,
        )
        return next(iter((await self._api.listings.ListListings(request)).listings), None)

    async def _require_listing(self, stage: Stage, product: Product) -> Listing:
        listing = await self._find_listing(stage, product)
        if listing is None:
            raise DemoError(f"StoFlow knows no listing of {product.content.sku} although its job completed")
        return listing

    async def _require_order(self, stage: Stage, product: Product) -> Order:
        request = ListOrdersRequest(
            tenant_id=product.tenant_id,
            account_id=stage.account_id,
            product_id=product.product_id,
        )
        orders = (await self._api.orders.ListOrders(request)).orders
        if not orders:
            raise DemoError(f"the order on {stage.marketplace.label} did not arrive")
        return orders[0]

    async def _expect(self, stage: Stage, listing: Listing, what: str, *, is_live: bool) -> None:
        """Asks the marketplace itself and prints what it shows."""
        shown: ShownListing | None = await stage.marketplace.find_listing(
            stage.sandbox_url, listing.remote_id
        )
        if shown is None or shown.is_live != is_live:
            state = "none" if shown is None else shown.state
            raise DemoError(f"{stage.marketplace.label} shows listing {listing.remote_id} as {state}, {what}")
        price = dict(shown.details).get("price", "")
        self._reporter.step(stage.marketplace.label, f"{shown.state:<13} {what}: {price}")

    def _show_order(self, order: Order) -> None:
        sold = ", ".join(f"{line.quantity} x {line.title}" for line in order.lines)
        state = OrderState.Name(order.state).removeprefix("ORDER_STATE_")
        self._reporter.step("order", f"{state:<13} {order.remote_id}: {sold}")
