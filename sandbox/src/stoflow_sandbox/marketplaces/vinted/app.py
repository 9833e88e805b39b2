"""Puts the Vinted sandbox together: the API behind its gateway, the control API and the pages beside it."""

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
from stoflow_sandbox.marketplaces.fault_book import FaultBook
from stoflow_sandbox.marketplaces.gateway import Gateway
from stoflow_sandbox.marketplaces.request_log import RequestLog
from stoflow_sandbox.marketplaces.settings import SandboxSettings
from stoflow_sandbox.marketplaces.vinted.control_routes import VintedControlRoutes
from stoflow_sandbox.marketplaces.vinted.marketplace import VintedMarketplace
from stoflow_sandbox.marketplaces.vinted.pages import Pages
from stoflow_sandbox.marketplaces.vinted.state import World
from stoflow_sandbox.marketplaces.vinted.store import FolderStore, MemoryStore

API = "/api/"


def make_app(settings: SandboxSettings) -> ASGIApp:
    """Construct everything; the only place that does."""
    clock = Clock()
    folder = FolderStore(settings.state_dir) if settings.state_dir is not None else None
    marketplace = VintedMarketplace(
        folder.load() if folder is not None else World(),
        folder if folder is not None else MemoryStore(),
        clock,
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
        *ClockRoutes(clock, "vinted").routes(),
        *VintedControlRoutes(marketplace).routes(),
        *Pages(marketplace).routes(),
    ]
    beside = Starlette(routes=routes, lifespan=lifespan, exception_handlers=CONTROL_EXCEPTION_HANDLERS)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(API):
            await gateway(scope, receive, send)
        else:
            await beside(scope, receive, send)

    return app
