"""Puts the Etsy sandbox together: the marketplace behind its gateway, control API, consent and pages beside it."""

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
from stoflow_sandbox.marketplaces.etsy.consent import CONSENT_PATH, ConsentPage
from stoflow_sandbox.marketplaces.etsy.control_routes import EtsyControlRoutes
from stoflow_sandbox.marketplaces.etsy.marketplace import EtsyMarketplace
from stoflow_sandbox.marketplaces.etsy.pages import Pages
from stoflow_sandbox.marketplaces.etsy.state import World
from stoflow_sandbox.marketplaces.etsy.store import FolderStore, MemoryStore
from stoflow_sandbox.marketplaces.etsy.webhooks import WebhookSender
from stoflow_sandbox.marketplaces.fault_book import FaultBook
from stoflow_sandbox.marketplaces.gateway import Gateway
from stoflow_sandbox.marketplaces.request_log import RequestLog
from stoflow_sandbox.marketplaces.settings import SandboxSettings

BESIDE = ("/_sandbox/", "/listing/", "/il/", CONSENT_PATH)


def make_app(settings: SandboxSettings) -> ASGIApp:
    """Construct everything; the only place that does."""
    clock = Clock()
    folder = FolderStore(settings.state_dir) if settings.state_dir is not None else None
    marketplace = EtsyMarketplace(
        folder.load() if folder is not None else World(),
        folder if folder is not None else MemoryStore(),
        clock,
    )
    webhooks = WebhookSender(clock)
    faults = FaultBook()
    log = RequestLog(clock.now, settings.request_log_limit)
    gateway = Gateway(marketplace, faults, log)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await faults.clear()
        await gateway.close()
        await webhooks.close()

    routes = [
        *FaultRoutes(faults).routes(),
        *LogRoutes(log).routes(),
        *ClockRoutes(clock, "etsy").routes(),
        *EtsyControlRoutes(marketplace, webhooks).routes(),
        *ConsentPage(marketplace.world, clock).routes(),
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
