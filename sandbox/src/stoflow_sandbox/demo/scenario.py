"""The story that the demo tells: a product goes live on every marketplace at once, and the statistics count it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
import httpx
from stoflow.accounts.v1.account_pb2 import Account
from stoflow.catalog.v1.listing_pb2 import LISTING_STATE_LIVE, Listing
from stoflow.catalog.v1.listing_service_pb2 import ListListingsRequest
from stoflow.catalog.v1.product_pb2 import Product
from stoflow.jobs.v1.job_pb2 import JOB_STATE_COMPLETED, Job
from stoflow.jobs.v1.job_service_pb2 import CreateJobRequest, GetJobRequest, ListJobsRequest

from stoflow_sandbox.demo import look_further, statistics
from stoflow_sandbox.demo.addresses import Addresses
from stoflow_sandbox.demo.api import Api, describe
from stoflow_sandbox.demo.catalogue import DemoCatalogue
from stoflow_sandbox.demo.console import Reporter
from stoflow_sandbox.demo.errors import DemoError
from stoflow_sandbox.demo.life import ListingLife, Stage
from stoflow_sandbox.demo.marketplaces import (
    DemoMarketplace,
    ShownListing,
    TradingMarketplace,
)
from stoflow_sandbox.demo.report import Report
from stoflow_sandbox.demo.secrets_file import Secrets
from stoflow_sandbox.demo.watching import watch_until_completed
from stoflow_sandbox.marketplaces.control import SandboxControlError
from stoflow_service_kit.grpc_channel import rich_error

ACTION = "publish"


@dataclass(frozen=True, slots=True)
class Offered:
    """The product at one marketplace: live since an earlier run, or about to be.

    Attributes:
        job: What publishes it; None when it is live already.
    """

    marketplace: DemoMarketplace
    account: Account
    job: Job | None


async def run_scenario(
    addresses: Addresses,
    marketplaces: Sequence[DemoMarketplace],
    secrets: Secrets,
    reporter: Reporter,
    timeout_seconds: float,
) -> Report:
    """Tells the story against running services.

    Raises:
        DemoError: A call failed, a job did not complete, or a run was not counted.
    """
    try:
        async with Api(addresses) as api:
            return await Scenario(api, addresses, marketplaces, secrets, reporter, timeout_seconds).run()
    except grpc.aio.AioRpcError as error:
        raise DemoError(f"a call failed: {describe(error)}") from error
    except (httpx.HTTPError, SandboxControlError) as error:
        raise DemoError(f"a marketplace sandbox failed: {type(error).__name__}: {error}") from error


class Scenario:
    """One telling."""

    def __init__(
        self,
        api: Api,
        addresses: Addresses,
        marketplaces: Sequence[DemoMarketplace],
        secrets: Secrets,
        reporter: Reporter,
        timeout_seconds: float,
    ) -> None:
        self._api = api
        self._addresses = addresses
        self._marketplaces = marketplaces
        self._secrets = secrets
        self._reporter = reporter
        self._timeout_seconds = timeout_seconds
        self._catalogue = DemoCatalogue(api, secrets)

    async def run(self) -> Report:
        report = Report()
        tenant = await self._catalogue.ensure_tenant()
        report.tenant_id = tenant.tenant_id
        self._reporter.step(
            "tenant", f"{tenant.tenant_id}, {tenant.display_name}, schema {tenant.schema_name}"
        )
        product = await self._catalogue.ensure_product(tenant.tenant_id)
        price = product.content.price
        self._reporter.step(
            "product",
            f"{product.content.title}, {price.amount_minor / 100:.2f} {price.currency_code}, "
            f"{len(product.images)} pictures",
        )
        offered = [await self._offer(marketplace, product) for marketplace in self._marketplaces]
        await self._watch([one for one in offered if one.job is not None])
        for one in offered:
            await self._report(one, product, report)
        await self._count(report)
        await self._tell_lives(tenant.tenant_id)
        return report

    async def _tell_lives(self, tenant_id: int) -> None:
        """Shows what becomes of a listing, with another product, where the sandbox has buyers."""
        life = ListingLife(self._api, self._catalogue, self._secrets, self._reporter, self._timeout_seconds)
        for marketplace in self._marketplaces:
            if isinstance(marketplace, TradingMarketplace):
                sandbox_url = self._addresses.sandboxes[marketplace.name]
                seller = await marketplace.prepare_seller(sandbox_url, self._secrets)
                account = await self._catalogue.ensure_account(tenant_id, marketplace.name, seller)
                await life.tell(Stage(marketplace, tenant_id, account.account_id, sandbox_url))

    async def _offer(self, marketplace: DemoMarketplace, product: Product) -> Offered:
        """Connects the seller, and submits the job that publishes; nobody waits for it here."""
        sandbox_url = self._addresses.sandboxes[marketplace.name]
        seller = await marketplace.prepare_seller(sandbox_url, self._secrets)
        await self._catalogue.ensure_mappings(marketplace)
        account = await self._catalogue.ensure_account(product.tenant_id, marketplace.name, seller)
        if marketplace.needs_browser:
            code_file = Path(self._addresses.pairing_files[marketplace.name])
            await self._catalogue.ensure_pairing(account, code_file)
        sites = f", sells on {', '.join(account.sites)}" if account.sites else ""
        self._reporter.step("account", f"{account.display_name}, connected{sites}")
        if await self._find_live(marketplace, account, product) is not None:
            self._reporter.step("listing", f"the product is live on {marketplace.label} since an earlier run")
            return Offered(marketplace, account, None)
        job = await self._submit(account, product)
        self._reporter.step(
            "job", f"{job.job_id}, {job.action} on {marketplace.label}, {len(job.tasks)} tasks"
        )
        return Offered(marketplace, account, job)

    async def _watch(self, offered: Sequence[Offered]) -> None:
        """Shows the jobs side by side until all have ended.

        Raises:
            DemoError: Some did not complete; the message tells of each.
        """
        watches = [
            watch_until_completed(
                self._api, one.job, self._reporter, self._timeout_seconds, one.marketplace.name
            )
            for one in offered
            if one.job is not None
        ]
        results = await asyncio.gather(*watches, return_exceptions=True)
        failures = [result for result in results if result is not None]
        for failure in failures:
            if not isinstance(failure, DemoError):
                raise failure
        if failures:
            raise DemoError("\n".join(str(failure) for failure in failures))

    async def _report(self, offered: Offered, product: Product, report: Report) -> None:
        marketplace, account = offered.marketplace, offered.account
        if offered.job is not None:
            job_id = offered.job.job_id
        else:
            job_id = await self._find_job_id(account, product)
        if job_id:
            report.jobs[marketplace.name] = job_id
        shown = await self._read_listing(marketplace, account, product)
        report.listings[marketplace.name] = shown
        self._show(marketplace, shown)

    async def _submit(self, account: Account, product: Product) -> Job:
        """Submits the publish job, or takes over the one that an interrupted run left."""
        request = CreateJobRequest(
            request_id=self._secrets.new_request_id(),
            tenant_id=product.tenant_id,
            account_id=account.account_id,
            product_id=product.product_id,
            action=ACTION,
        )
        try:
            return (await self._api.jobs.CreateJob(request)).job
        except grpc.aio.AioRpcError as error:
            rich = rich_error(error)
            if rich.reason != "JOB_EXISTS":
                raise
        live = GetJobRequest(tenant_id=product.tenant_id, job_id=rich.metadata["job_id"])
        return (await self._api.jobs.GetJob(live)).job

    async def _read_listing(
        self, marketplace: DemoMarketplace, account: Account, product: Product
    ) -> ShownListing:
        """Returns the listing as the marketplace has it; StoFlow says only which it is."""
        listing = await self._find_listing(account, product)
        if listing is None:
            raise DemoError(f"StoFlow knows no listing on {marketplace.label} although its job completed")
        url = self._addresses.sandboxes[marketplace.name]
        shown = await marketplace.find_listing(url, listing.remote_id)
        if shown is None:
            raise DemoError(f"{marketplace.label} has no listing {listing.remote_id}")
        return shown

    async def _find_live(
        self, marketplace: DemoMarketplace, account: Account, product: Product
    ) -> ShownListing | None:
        listing = await self._find_listing(account, product)
        if listing is None or listing.state != LISTING_STATE_LIVE:
            return None
        url = self._addresses.sandboxes[marketplace.name]
        shown = await marketplace.find_listing(url, listing.remote_id)
        return shown if shown is not None and shown.is_live else None

    async def _find_listing(self, account: Account, product: Product) -> Listing | None:
        request = ListListingsRequest(
            tenant_id=product.tenant_id, product_id=product.product_id, account_id=account.account_id
        )
        return next(iter((await self._api.listings.ListListings(request)).listings), None)

    async def _find_job_id(self, account: Account, product: Product) -> str:
        """Returns the newest completed publish job, so that there is one to look at; empty when it is gone."""
        jobs = (await self._api.jobs.ListJobs(ListJobsRequest(tenant_id=product.tenant_id))).jobs
        wanted = (account.account_id, product.product_id, JOB_STATE_COMPLETED)
        return next((job.job_id for job in jobs if (job.account_id, job.product_id, job.state) == wanted), "")

    def _show(self, marketplace: DemoMarketplace, shown: ShownListing) -> None:
        self._reporter.heading(f"The listing, as {marketplace.label} shows it")
        self._reporter.fields(
            [("state", shown.state), ("item", shown.remote_id), *shown.details, ("address", shown.url)]
        )

    async def _count(self, report: Report) -> None:
        names = list(report.listings)
        stats = await statistics.wait_until_counted(self._api, report.tenant_id, names, self._timeout_seconds)
        report.success_count = sum(one.success_count for one in stats)
        self._reporter.heading("The statistics, as stats-service counts them")
        self._reporter.fields((f"{one.marketplace} {one.action}", statistics.describe(one)) for one in stats)


def show_look_further(addresses: Addresses, report: Report, reporter: Reporter, note: str = "") -> None:
    """Prints the lines with which a person looks further."""
    reporter.heading(f"To look further{note}")
    for line in look_further.grpcurl_lines(addresses, report):
        reporter.command(line)
    reporter.line()
    for line in look_further.buf_lines(addresses, report):
        reporter.command(line)
