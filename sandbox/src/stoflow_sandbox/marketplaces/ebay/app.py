"""Puts the eBay sandbox together: the marketplace behind its gateway, the control API and the pages beside
it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from stoflow_sandbox.marketplaces.clock import Clock
from stoflow_sandbox.marketplaces.control_routes import (
    CONTROL_EXCEPTION_HANDLERS,
    ClockRoutes,
    FaultRoutes,
    LogRoutes,
)
from stoflow_sandbox.marketplaces.ebay.consent import ConsentPage
from stoflow_sandbox.marketplaces.ebay.control_routes import EbayControlRoutes
from stoflow_sandbox.marketplaces.ebay.marketplace import EbayMarketplace
from stoflow_sandbox.marketplaces.ebay.order_control import OrderControlRoutes
from stoflow_sandbox.marketplaces.ebay.pages import Pages
from stoflow_sandbox.marketplaces.ebay.platform_control import PlatformControlRoutes
from stoflow_sandbox.marketplaces.ebay.state import World
from stoflow_sandbox.marketplaces.ebay.store import FolderStore, MemoryStore
from stoflow_sandbox.marketplaces.fault_book import FaultBook
from stoflow_sandbox.marketplaces.gateway import Gateway
from stoflow_sandbox.marketplaces.request_log import RequestLog
from stoflow_sandbox.marketplaces.settings import SandboxSettings

BESIDE = ("/_sandbox/", "/itm/", "/images/", "/oauth2/authorize")


def make_app(settings: SandboxSettings) -> ASGIApp:
    """Construct everything; the only place that does."""
    clock = Clock()
    folder = FolderStore(settings.state_dir) if settings.state_dir is not None else None
    marketplace = EbayMarketplace(
        folder.load() if folder is not None else World(),
        folder if folder is not None else MemoryStore(),
        clock,
        allow_http_image_urls=settings.allow_http_image_urls,
    )
    faults = FaultBook()
    log = RequestLog(clock.now, settings.request_log_limit)
    gateway = Gateway(marketplace, faults, log)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await faults.clear()
        await gateway.close()

    routes = [
        *FaultRoutes(faults).routes(),
        *LogRoutes(log).routes(),
        *ClockRoutes(clock, "ebay").routes(),
        *EbayControlRoutes(marketplace).routes(),
        *OrderControlRoutes(marketplace).routes(),
        *PlatformControlRoutes(marketplace).routes(),
        *ConsentPage(marketplace).routes(),
        *Pages(marketplace).routes(),
    ]
    beside = Starlette(routes=routes, lifespan=lifespan, exception_handlers=CONTROL_EXCEPTION_HANDLERS)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # The API's own traffic does not pay for a walk through the routes beside it.
        if scope["type"] == "http" and not scope["path"].startswith(BESIDE):
            await gateway(scope, receive, send)
        else:
            await beside(scope, receive, send)

    return app
