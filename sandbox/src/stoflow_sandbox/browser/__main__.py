"""`python -m stoflow_sandbox.browser` is a seller's browser for the demo and for tests, without a browser.

It signs in to the site, pairs with the gateway when it has no token yet, and serves until it is stopped.

Environment: GATEWAY_URL (ws://host:port/browser), SITE_URL, SITE_LOGIN, SITE_PASSWORD, STATE_FILE (keeps client id,
token and request memory; SIGKILL and a new start are a browser that crashed), PAIRING_CODE or PAIRING_CODE_FILE
(without a token; the file is waited for, and removed once its code was taken), IMAGE_ORIGINS (comma-separated),
BROWSER_ORIGIN, READY_FILE (written once it is welcome).
"""

import asyncio
import json
import logging
import os
import signal
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from websockets.exceptions import WebSocketException

from stoflow_sandbox.browser.memory import RequestMemory
from stoflow_sandbox.browser.scripted_browser import (
    SCRIPTED_ORIGIN,
    BrowserSettings,
    PairingRefusedError,
    ScriptedBrowser,
    image_origins,
)

logger = logging.getLogger(__name__)
REQUIRED = ("GATEWAY_URL", "SITE_URL", "SITE_LOGIN", "SITE_PASSWORD", "STATE_FILE")
WELCOME_SECONDS = 86_400.0
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _Identity:
    """What a browser is known by; kept beside its memory."""

    client_id: str
    token: str

    @classmethod
    def read(cls, path: Path) -> "_Identity":
        return cls(**json.loads(path.read_text())) if path.exists() else cls(str(uuid.uuid4()), "")

    def keep(self, path: Path) -> None:
        path.touch(0o600)
        path.write_text(json.dumps({"client_id": self.client_id, "token": self.token}))


async def serve(environment: Mapping[str, str]) -> None:
    """Be the browser until SIGTERM or SIGINT."""
    state = Path(environment["STATE_FILE"])
    identity = _Identity.read(state)
    settings = BrowserSettings(
        environment["GATEWAY_URL"],
        identity.client_id,
        origin=environment.get("BROWSER_ORIGIN", SCRIPTED_ORIGIN),
        image_origins=image_origins(environment.get("IMAGE_ORIGINS", "")),
    )
    browser = ScriptedBrowser(settings, identity.token, RequestMemory(state.with_suffix(".requests")))
    if not identity.token:
        await _pair(browser, environment)
        _Identity(identity.client_id, browser.token).keep(state)
    await browser.open_tab(environment["SITE_URL"], environment["SITE_LOGIN"], environment["SITE_PASSWORD"])
    running = asyncio.create_task(browser.run())
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        # Until here the signal's default ends the process, which has nothing to settle yet.
        loop.add_signal_handler(each, running.cancel)
    announcing = asyncio.create_task(_announce(browser, environment.get("READY_FILE")))
    await asyncio.gather(running, return_exceptions=True)
    announcing.cancel()
    await asyncio.gather(announcing, return_exceptions=True)
    await browser.close()
    logger.info("stopped: %s", browser.last_bye or "told to")


async def _pair(browser: ScriptedBrowser, environment: Mapping[str, str]) -> None:
    path = environment.get("PAIRING_CODE_FILE")
    if not path:
        await browser.pair(environment.get("PAIRING_CODE", ""))
        return
    file = Path(path)
    while not browser.token:
        # Whoever starts all parts at once has a code only when the account exists.
        while not file.exists():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(POLL_SECONDS)
        try:
            await browser.pair(file.read_text().strip())
        except PairingRefusedError as error:
            # An earlier run's code, perhaps; the next one is waited for.
            logger.warning("not paired: %s", error)
        except (OSError, TimeoutError, WebSocketException) as error:
            # The gateway is not there, or has just gone; the code is still good.
            logger.warning("not paired yet: %s", type(error).__name__)
            await asyncio.sleep(1)
            continue
        file.unlink(missing_ok=True)


async def _announce(browser: ScriptedBrowser, ready_file: str | None) -> None:
    welcome = await browser.wait_for("welcome", WELCOME_SECONDS)
    logger.info("welcome: %s", welcome["role"])
    if ready_file:
        beside = Path(f"{ready_file}.new")
        beside.write_text(json.dumps({"pid": os.getpid(), "role": welcome["role"]}))
        beside.replace(ready_file)


def main() -> None:
    """Exits with 2 and every missing variable, or with 1 when the pairing code is refused."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # httpx logs every address it asks for, signatures included.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    missing = [name for name in REQUIRED if not os.environ.get(name)]
    if missing:
        print("\n".join(f"{name}: required" for name in missing), file=sys.stderr)
        sys.exit(2)
    try:
        asyncio.run(serve(os.environ))
    except PairingRefusedError as error:
        print(f"PAIRING_CODE: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
