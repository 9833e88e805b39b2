"""A real Chromium with the real extension, in a profile of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Error, Page, Worker, async_playwright, expect

from stoflow_sandbox.marketplaces.vinted.control import SeededMember
from tests.conftest import IS_CI

EXTENSION = Path(__file__).resolve().parents[2] / "connector-vinted" / "extension"
NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MILLISECONDS = 45_000
INSTALL = "apt-get install --no-install-recommends chromium"


def find_chromium() -> str:
    """Returns the path of a Chromium of this machine; without one the test is skipped, in CI it fails."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    if IS_CI:
        pytest.fail(f"no Chromium: {INSTALL}")
    pytest.skip(f"needs Chromium: {INSTALL}")


def configure(folder: Path, gateway_url: str, sites: list[str], images: list[str]) -> Path:
    """Writes a copy of the extension with the operator's own tool."""
    output = folder / "extension"
    arguments = ["--gateway", gateway_url, "--output", str(output)]
    arguments += [part for site in sites for part in ("--site", site)]
    arguments += [part for origin in images for part in ("--images", origin)]
    subprocess.run([sys.executable, str(EXTENSION / "configure.py"), *arguments], check=True)
    return output


expect.set_options(timeout=PATIENCE_MILLISECONDS)


@dataclass
class Chromium:
    """One running Chromium."""

    context: BrowserContext

    async def worker(self) -> Worker:
        workers = self.context.service_workers
        return workers[0] if workers else await self.context.wait_for_event("serviceworker")

    async def extension_page(self, path: str) -> Page:
        """Opens a page of the extension in a tab."""
        worker = await self.worker()
        page = await self.context.new_page()
        address = f"{worker.url.partition('/worker/')[0]}/{path}"
        try:
            await page.goto(address)
        except Error as error:
            # Chromium may open the page that the extension asks for in this very tab.
            if "interrupted by another navigation" not in str(error):
                raise
            await page.wait_for_url(address)
        return page

    async def pair(self, code: str) -> Page:
        """Types the code into the pairing page, as the seller does."""
        page = await self.extension_page("pages/pairing.html")
        await page.get_by_label("Pairing code").fill(code)
        await page.get_by_role("button", name="Pair", exact=True).click()
        return page

    async def sign_in(self, site_url: str, member: SeededMember) -> Page:
        """Signs in at the site, by its login page, in a tab that stays open."""
        page = await self.context.new_page()
        await page.goto(f"{site_url}/member/login")
        await page.get_by_label("Login").fill(member.login)
        await page.get_by_label("Password").fill(member.password)
        await page.get_by_role("button", name="Log in").click()
        await page.wait_for_url(f"{site_url}/")
        return page


@asynccontextmanager
async def chromium(profile: Path, extension: Path) -> AsyncIterator[Chromium]:
    """Runs Chromium headless with the extension; the profile may be used again."""
    arguments = [
        "--headless=new",
        f"--load-extension={extension}",
        f"--disable-extensions-except={extension}",
        "--disable-features=DisableLoadExtensionCommandLineSwitch",
    ]
    if os.geteuid() == 0:
        # Chromium's sandbox refuses root.
        arguments.append("--no-sandbox")
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=find_chromium(),
            headless=False,
            args=arguments,
            # Caches of fonts and the like stay where the profile is.
            env={**os.environ, "HOME": str(profile.parent), "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": ""},
        )
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        try:
            yield Chromium(context)
        finally:
            await context.close()
