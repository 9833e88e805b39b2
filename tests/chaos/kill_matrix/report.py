"""What the matrix reports: one entry a cell."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.kill_matrix.judge import Harm, Violation
from tests.chaos.kill_matrix.table import MatrixCell


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of one cell.

    Attributes:
        violations: What was found wrong.
        recovery_seconds: From the fault to the job's end; None when it did not end.
        records: Files with the exchanges of its connectors.
    """

    violations: tuple[Violation, ...]
    recovery_seconds: float | None
    records: tuple[Path, ...] = ()

    def has(self, harm: Harm) -> bool:
        """Whether a violation of this kind was found."""
        return any(violation.harm is harm for violation in self.violations)


def summarize(cell: MatrixCell, outcomes: Iterable[Outcome]) -> Mapping[str, Any]:
    """Returns a cell's entry in the report; `duplicates` and `lost` count runs."""
    runs = list(outcomes)
    recoveries = [run.recovery_seconds for run in runs if run.recovery_seconds is not None]
    return {
        "marketplace": cell.row.marketplace,
        "task": cell.row.label,
        "fault": cell.fault.name,
        "runs": len(runs),
        "duplicates": sum(run.has(Harm.DUPLICATE) for run in runs),
        "lost": sum(run.has(Harm.LOST) for run in runs),
        "recovery_seconds_p50": round(statistics.median(recoveries), 2) if recoveries else None,
    }


def write_report(file: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Writes the report."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(list(entries), indent=2) + "\n")
