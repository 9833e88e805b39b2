"""A storm from its first job to its judgement."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from stoflow.admin.v1 import admin_pb2
from stoflow.jobs.v1 import job_pb2

from tests.chaos.storm.caller import Caller
from tests.chaos.storm.connector import MARKETPLACE
from tests.chaos.storm.evidence import Evidence, count_live_rows, gather_evidence, list_effects
from tests.chaos.storm.judge import Violation, judge
from tests.chaos.storm.killing import Killer
from tests.chaos.storm.seller import Seller, Step, product_count, totals, write_script
from tests.chaos.storm.size import StormSize
from tests.chaos.storm.stage import Stage
from tests.support.products import insert_products

_LOOK_SECONDS = 0.5
_ARCHIVE_SECONDS = 30.0
_LIVE = "SELECT count(*) FROM public.live_jobs WHERE state IN ('PENDING', 'RUNNING', 'PAUSED')"


@dataclass
class Storm:
    """Sellers who submit and change their minds while everything fails around them.

    Attributes:
        stage: What runs.
        size: How much.
        seed: Draws everything that is left to chance, but for the order in which processes get to run.
    """

    stage: Stage
    size: StormSize
    seed: int
    _scripts: list[list[Step]] = field(default_factory=list)
    _sellers: list[Seller] = field(default_factory=list)
    _seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._caller = Caller(self.stage.stubs)
        self._killer = Killer(self.stage, self._ended_share)

    async def play(self) -> tuple[list[Violation], dict[str, Any]]:
        """Returns what was found wrong, and the figures of the run."""
        begun = time.monotonic()
        async with asyncio.timeout(self.size.end_seconds):
            await self._open_shops()
            opened = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for seller, script in zip(self._sellers, self._scripts, strict=True):
                    group.create_task(seller.play(script, self.size.sending_seconds))
                group.create_task(self._killer.play())
            await self._wait_until_ended()
            stormed = time.monotonic()
            await self._calm_down()
            await self._wait_until_archived()
        calmed = time.monotonic()
        evidence = await gather_evidence(self.stage, self._sellers, self._caller)
        violations = judge(evidence)
        self._seconds = {
            "opening": opened - begun,
            "storm": stormed - opened,
            "calm": calmed - stormed,
            "judging": time.monotonic() - calmed,
        }
        return violations, await self._figures(evidence, violations)

    async def _open_shops(self) -> None:
        # One after the other, so that a seed always meets the same tenants.
        for number in range(self.size.tenants):
            draw = random.Random(f"{self.seed} seller {number}")
            script = write_script(self.size.jobs_of_tenant, draw)
            tenant_id = await self.stage.stubs[0].create_tenant()
            account_id = await self.stage.stubs[0].create_account(tenant_id, MARKETPLACE)
            products = await insert_products(self.stage.database_url, tenant_id, product_count(script))
            self._scripts.append(script)
            self._sellers.append(Seller(tenant_id, account_id, products[::-1], self._caller, draw))

    async def _calm_down(self) -> None:
        """Retries what failed and settles every open effect, with nothing going wrong any more."""
        (await self.stage.market.post("/calm")).raise_for_status()
        for seller in self._sellers:
            await seller.retry_failed()
        await self._wait_until_ended()
        by_account = {seller.account_id: seller for seller in self._sellers}
        unresolved = await list_effects(self._caller, admin_pb2.EFFECT_STATE_UNRESOLVED)
        for account_id, product_id in sorted({(e.account_id, e.product_id) for e in unresolved}):
            # What became of it is found by the next job on the product.
            await by_account[account_id].submit(product_id)
        await self._wait_until_ended()

    async def _wait_until_ended(self) -> None:
        while await self._count_live():
            for seller in self._sellers:
                await seller.resume_all()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _wait_until_archived(self) -> None:
        deadline = time.monotonic() + _ARCHIVE_SECONDS
        while any((await count_live_rows(self.stage.database_url)).values()):
            if time.monotonic() > deadline:
                # The judge says what is left.
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _ended_share(self) -> float:
        created = sum(seller.created_count for seller in self._sellers)
        return (created - await self._count_live()) / self.size.jobs

    async def _count_live(self) -> int:
        async with await psycopg.AsyncConnection.connect(self.stage.database_url) as connection:
            row = await (await connection.execute(_LIVE)).fetchone()
            assert row is not None
            return int(row[0])

    async def _figures(self, evidence: Evidence, violations: Sequence[Violation]) -> dict[str, Any]:
        happened = (await self.stage.market.get("/happened")).json()
        events = Counter(
            job_pb2.JobEventType.Name(event.type).removeprefix("JOB_EVENT_TYPE_")
            for history in evidence.histories.values()
            for event in history
        )
        states = Counter(job_pb2.JobState.Name(job.state) for job in evidence.jobs.values())
        return {
            "seed": self.seed,
            "size": asdict(self.size),
            "seconds": {name: round(seconds, 1) for name, seconds in self._seconds.items()},
            "jobs": len(evidence.jobs),
            "batches": len(evidence.batches),
            "tasks": sum(len(job.tasks) for job in evidence.jobs.values()),
            "runs": sum(job.run for job in evidence.jobs.values()),
            "job_states": {name.removeprefix("JOB_STATE_"): count for name, count in sorted(states.items())},
            "events": dict(sorted(events.items())),
            "changes_of_mind": dict(totals(self._sellers)),
            "kills": self._killer.kills,
            "duplicates_sent": {
                "connector_calls": dict(self.stage.calls.sent),
                "messages": dict(self.stage.messages.sent),
                "mutations": dict(self._caller.sent),
            },
            "answers_lost": self.stage.calls.lost_answers,
            "marketplace": {"requests": happened["requests"], "faults": happened["faults"]},
            "effects": {"ledger": len(evidence.effects), "happened": len(happened["things"])},
            "violations": [str(violation) for violation in violations],
        }


def write_figures(file: Path, figures: dict[str, Any]) -> None:
    """Writes the figures of a run."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures, indent=2) + "\n")


def summarize(figures: dict[str, Any]) -> str:
    """Returns the figures in a few lines."""
    duplicates = {name: sum(counts.values()) for name, counts in figures["duplicates_sent"].items()}
    return "\n".join(
        [
            f"storm with seed {figures['seed']}: {figures['jobs']} jobs, {figures['tasks']} tasks",
            f"  seconds: {figures['seconds']}",
            f"  jobs: {figures['job_states']}; runs: {figures['runs']}",
            f"  killed: {[name for kill in figures['kills'] for name in kill['killed']]}",
            f"  sent twice: {duplicates}; answers lost: {figures['answers_lost']}",
            f"  changes of mind: {figures['changes_of_mind']}",
            f"  marketplace: {figures['marketplace']}",
            f"  effects: {figures['effects']}; violations: {len(figures['violations'])}",
        ]
    )
