"""Runs cells side by side, so that a matrix takes as long as its waits and not as long as their sum."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stoflow_sandbox.processes import ServiceProcess, Supervisor
from tests.chaos.kill_matrix.cell import CellRun, FaultNotPlacedError
from tests.chaos.kill_matrix.connectors import start_connector
from tests.chaos.kill_matrix.judge import Evidence, judge
from tests.chaos.kill_matrix.market import Market
from tests.chaos.kill_matrix.report import Outcome, summarize
from tests.chaos.kill_matrix.stage import Stage
from tests.chaos.kill_matrix.table import CELLS, MatrixCell, list_rows

log = logging.getLogger(__name__)

# A busy machine may miss the short time in which a fault can be placed; that says nothing of the system.
PLACING_TRIES = 4


@dataclass
class KillMatrix:
    """Every wanted cell, begun at once, a few at a time; each test awaits its own.

    Attributes:
        stage: The shared servers.
        markets: By name.
        runs: How often each cell runs.
        parallel: How many run side by side.
    """

    stage: Stage
    markets: Mapping[str, Market]
    runs: int = 1
    parallel: int = 4
    _running: dict[str, list[asyncio.Task[Outcome]]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.parallel)
        self._shared: dict[str, asyncio.Task[ServiceProcess]] = {}
        self._shared_folder = self.stage.folder / "shared"
        self._supervisor = Supervisor(self._shared_folder)

    @property
    def shared_records(self) -> list[Path]:
        """Files with the exchanges of the connectors that cells share."""
        return sorted(self._shared_folder.glob("*.exchanges.jsonl"))

    def begin(self, cells: Iterable[MatrixCell]) -> None:
        """Begins cells in the background."""
        wanted = list(cells)
        for _ in range(self.runs):
            for cell in wanted:
                task = asyncio.create_task(self._run_placed(cell), name=cell.name)
                self._running.setdefault(cell.name, []).append(task)

    async def outcomes(self, cell: MatrixCell) -> list[Outcome]:
        """Returns a cell's outcomes, in the order of its runs, once there are all."""
        return list(await asyncio.gather(*self._running[cell.name]))

    async def all_outcomes(self) -> list[Outcome]:
        """Returns the outcomes of every cell that ended without an error of the test itself."""
        results = await asyncio.gather(*itertools.chain(*self._running.values()), return_exceptions=True)
        return [result for result in results if isinstance(result, Outcome)]

    def entries(self) -> list[Mapping[str, Any]]:
        """Returns the report; a run that broke off counts as neither and makes its test fail."""
        return [
            summarize(cell, [task.result() for task in self._running[cell.name] if _has_outcome(task)])
            for cell in CELLS
            if cell.name in self._running
        ]

    async def close(self) -> None:
        """Ends what still runs."""
        tasks = list(itertools.chain(*self._running.values()))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._supervisor.stop_all)

    async def run_beside(self, cell: MatrixCell, **options: Any) -> tuple[Outcome, Evidence]:
        """Runs a cell at once, beside the others; the options are those of CellRun."""
        return await self._run(cell, **options)

    async def _run_placed(self, cell: MatrixCell) -> Outcome:
        async with self._places:
            for _ in range(PLACING_TRIES - 1):
                try:
                    return (await self._run(cell))[0]
                except FaultNotPlacedError as error:
                    log.warning("%s runs again: %s", cell.name, error)
            return (await self._run(cell))[0]

    async def _run(self, cell: MatrixCell, **options: Any) -> tuple[Outcome, Evidence]:
        name = f"{cell.row.marketplace}-k{next(self._numbers)}"
        rows = list_rows(cell.row.marketplace)
        market = self.markets[cell.row.marketplace]
        if cell.fault.spares_connector:
            options["shared_connector"] = await self._share_connector(market)
        run = CellRun(self.stage, market, cell.row, name, **options)
        async with run:
            await cell.fault.play(run)
            evidence = await run.gather(rows)
            recovery_seconds = await run.recovery_seconds()
        most_sends = {row.task: cell.most_sends(row) for row in rows if row.once}
        violations = (*run.violations, *judge(evidence, rows, most_sends, cell.stray))
        return Outcome(violations, recovery_seconds, tuple(run.records)), evidence

    async def _share_connector(self, market: Market) -> str:
        name = f"{market.name}-shared"
        if name not in self._shared:
            starting = start_connector(
                self.stage, market, self._supervisor, self._shared_folder, name, marketplace=name
            )
            self._shared[name] = asyncio.create_task(starting)
        await self._shared[name]
        return name


def _has_outcome(task: asyncio.Task[Outcome]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
