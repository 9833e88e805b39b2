"""The columns: a fault meets every row at once, each with a seller of its own, while the site holds the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from stoflow_sandbox.browser.memory import RequestMemory
from stoflow_sandbox.browser.scripted_browser import ScriptedBrowser
from tests.chaos.vinted_matrix.rows import ROWS, Row
from tests.integration.connector_vinted.stage import Replica, Seller, Stage

END_SECONDS = 100.0
HOLD_SECONDS = 60


@dataclass
class Cell:
    """One row under a fault, at the moment when the site has obeyed and holds the answer."""

    row: Row
    seller: Seller
    browser: ScriptedBrowser
    replica: Replica
    rule: str
    job_id: str

    async def release(self) -> None:
        await self.seller.stage.control.release(self.rule)


Recover = Callable[[Cell], Awaitable[None]]


async def browser_closed(cell: Cell) -> None:
    """The seller closes the tab, and opens it again later."""
    await cell.browser.close_tab()
    await cell.release()
    await asyncio.sleep(1)
    control = cell.seller.stage.control
    await cell.browser.open_tab(control.base_url, cell.seller.login, cell.seller.password)


async def browser_crashed(cell: Cell) -> None:
    """The browser dies and starts again; what it had written down is what it knows."""
    await cell.seller.crash_browser(cell.browser)
    await cell.release()
    await asyncio.sleep(1)
    # A new process reads its memory: what ran when it died was interrupted.
    memory: RequestMemory = cell.browser.executor._memory
    revived = ScriptedBrowser(cell.browser.settings, cell.browser.token, memory)
    control = cell.seller.stage.control
    await revived.open_tab(control.base_url, cell.seller.login, cell.seller.password)
    cell.seller.browsers.append(revived)
    cell.seller.connect(revived)


async def browser_offline(cell: Cell) -> None:
    """The network between browser and gateway goes while the site answers, and comes back."""
    await cell.browser.go_offline()
    await cell.release()
    await asyncio.sleep(1)
    cell.browser.go_online()


async def browser_replaced(cell: Cell) -> None:
    """The browser is gone for good, and another one of the seller's takes over."""
    await cell.seller.crash_browser(cell.browser)
    await cell.release()
    await cell.seller.open_browser(cell.replica)


BROWSER_FAULTS: dict[str, Recover] = {
    "browser_closed": browser_closed,
    "browser_crashed": browser_crashed,
    "answer_lost_offline": browser_offline,
    "browser_replaced": browser_replaced,
}
CONNECTOR_FAULTS = ("connector_killed", "connector_stopped_past_lease")
FAULTS = (*BROWSER_FAULTS, *CONNECTOR_FAULTS)


async def play(stage: Stage, fault: str) -> dict[str, list[str]]:
    """Plays one column; returns what was wrong, by row."""
    marketplace = f"v-{fault.replace('_', '-')}"[:32].rstrip("-")
    first = await stage.start_replica(marketplace)
    second = await stage.start_replica(marketplace) if fault in CONNECTOR_FAULTS else first
    await stage.map_bags(marketplace)
    cells: list[Cell] = []
    try:
        cells += await asyncio.gather(*(_prepare(stage, row, marketplace, first) for row in ROWS))
        if fault in BROWSER_FAULTS:
            await asyncio.gather(*(BROWSER_FAULTS[fault](cell) for cell in cells))
        else:
            await _break_connector(fault, cells, first, second)
        found = await asyncio.gather(*(_end(cell) for cell in cells))
        if fault == "connector_stopped_past_lease":
            first.process.resume()
            await asyncio.sleep(3)
            found = [a + b for a, b in zip(found, await asyncio.gather(*map(_judge, cells)), strict=True)]
        return {cell.row.task: problems for cell, problems in zip(cells, found, strict=True)}
    finally:
        for cell in cells:
            await cell.seller.close()


async def _prepare(stage: Stage, row: Row, marketplace: str, replica: Replica) -> Cell:
    seller = await stage.open_seller(marketplace)
    browser = await seller.open_browser(replica)
    product_id = await row.prepare(seller)
    rule = await stage.control.add_fault(
        "hold",
        seller=seller.login,
        method=row.method,
        path=row.path,
        apply="before",
        limit_seconds=HOLD_SECONDS,
    )
    job_id = await seller.submit(row.action, product_id)
    await stage.control.wait_for_hit(rule, 40)
    return Cell(row, seller, browser, replica, rule, job_id)


async def _break_connector(fault: str, cells: list[Cell], first: Replica, second: Replica) -> None:
    if fault == "connector_killed":
        first.process.kill()
    else:
        first.process.suspend()
    for cell in cells:
        await cell.release()
    await asyncio.sleep(1)
    for cell in cells:
        await cell.seller.move_browser(cell.browser, second)


async def _end(cell: Cell) -> list[str]:
    try:
        await cell.seller.completed(cell.job_id, END_SECONDS)
    except AssertionError as error:
        return [f"the job did not complete: {error}"]
    return await _judge(cell)


async def _judge(cell: Cell) -> list[str]:
    return await cell.row.judge(cell.seller)
