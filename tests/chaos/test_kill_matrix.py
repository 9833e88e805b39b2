"""Connectors are killed, frozen and left alone with unanswered requests; each product goes live exactly once."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from stoflow.jobs.v1 import job_pb2

from tests.chaos.kill_matrix.cell import CellRun
from tests.chaos.kill_matrix.judge import EffectRow, Harm, judge
from tests.chaos.kill_matrix.report import summarize
from tests.chaos.kill_matrix.runner import KillMatrix
from tests.chaos.kill_matrix.table import CELLS, MatrixCell, find_cell, list_rows
from tests.contract.etsy_openapi import EtsyContractChecker
from tests.contract.openapi import ContractChecker
from tests.contract.recorded import check_recorded

RUNS = int(os.environ.get("KILL_MATRIX_RUNS", "1"))

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # The cells run side by side, so that the test of the last one waits for all.
    pytest.mark.timeout(420 + 240 * RUNS),
]


@pytest.mark.parametrize(
    "cell",
    [pytest.param(cell, id=cell.name, marks=[pytest.mark.long] if cell.is_long else []) for cell in CELLS],
)
async def test_kill_matrix(kill_matrix: KillMatrix, cell: MatrixCell) -> None:
    """Whatever befalls the connector during this task, its job completes, with one offer and one listing ever made."""
    outcomes = await kill_matrix.outcomes(cell)
    assert [str(violation) for outcome in outcomes for violation in outcome.violations] == []
    assert None not in [outcome.recovery_seconds for outcome in outcomes]


async def test_publish_and_delete_submitted_together_end_in_that_order(kill_matrix: KillMatrix) -> None:
    """A delete that is submitted while the publish has not begun ends the listing that the publish makes."""
    row = next(row for row in list_rows("ebay") if row.label == "publish_offer")
    run = CellRun(kill_matrix.stage, kill_matrix.markets["ebay"], row, "ebay-together")
    async with run:
        published = await run.submit()
        deleted = await run.submit("delete")
        await run.wait_for_end()
        last = await run.get_job()
        evidence = await run.gather(list_rows("ebay"))
        first = await run.get_job(published)
    assert last.job_id == deleted
    assert {first.state, last.state} == {job_pb2.JOB_STATE_COMPLETED}
    assert first.finish_time.ToNanoseconds() <= last.start_time.ToNanoseconds()
    assert set(evidence.market.created.values()) == {1}
    assert (evidence.market.listing_state, evidence.listings) == ("ENDED", ())


async def test_exchanges_of_the_kill_matrix_obey_the_documents(kill_matrix: KillMatrix) -> None:
    """Also around kills and faults every request and every answer is one that the marketplace's documents allow."""
    checkers = (ContractChecker(), EtsyContractChecker())
    if reason := next((checker.absent_reason for checker in checkers if checker.absent_reason), None):
        pytest.skip(reason)
    outcomes = await kill_matrix.all_outcomes()
    records = [record for outcome in outcomes for record in outcome.records] + kill_matrix.shared_records
    judged = 0
    violations = []
    for record in records:
        for checker in checkers:
            count, found = check_recorded(record, checker)
            judged += count
            violations += found
    assert [str(violation) for violation in violations] == []
    # Three pictures, the item, the offer, its state, the publication: at least.
    assert judged >= 7 * len(outcomes)


async def test_matrix_sees_an_effect_that_is_begun_again_without_a_probe(kill_matrix: KillMatrix) -> None:
    """A successor that is not told of the open effect sends it again, which counts as a duplicate."""
    cell = find_cell("create_offer", "kill_on_receipt")
    outcome, _ = await kill_matrix.run_beside(cell, before_successor=CellRun.forget_effects)
    assert [(v.harm, "create_offer was sent 2 times" in v.text) for v in outcome.violations] == [
        (Harm.DUPLICATE, True)
    ]


async def test_matrix_sees_a_job_that_nobody_ends(kill_matrix: KillMatrix) -> None:
    """Without a successor the job does not end, which counts as lost."""
    cell = find_cell("publish_offer", "kill_before_call")
    outcome, _ = await kill_matrix.run_beside(cell, has_successor=False, end_seconds=3)
    assert outcome.recovery_seconds is None
    assert outcome.has(Harm.LOST)
    assert summarize(cell, [outcome])["lost"] == 1


async def test_judge_sees_every_single_thing_that_goes_wrong(kill_matrix: KillMatrix) -> None:
    """Spoiling any one piece of a faultless cell's evidence gives exactly the violation that it stands for."""
    cell = find_cell("create_offer", "reset_after_effect")
    rows = list_rows("ebay")
    most_sends = {row.task: cell.most_sends(row) for row in rows if row.once}
    _, good = await kill_matrix.run_beside(cell)
    assert judge(good, rows, most_sends) == ()
    failed, unfinished = job_pb2.Job(), job_pb2.Job()
    for job in (failed, unfinished):
        job.CopyFrom(good.job)
    failed.state = job_pb2.JOB_STATE_FAILED
    unfinished.tasks[-1].state = job_pb2.TASK_STATE_RUNNING
    market = good.market
    offer_twice = {**market.created, "offer in the request log": 2}
    no_listing = {**market.created, "listing": 0}
    unresolved = {**good.effects, "listing": EffectRow("UNRESOLVED", good.effects["listing"].remote_id)}
    spoilt = [
        (Harm.LOST, replace(good, job=failed)),
        (Harm.LOST, replace(good, job=unfinished)),
        (Harm.UNCLEAN, replace(good, live_jobs=1)),
        (Harm.DUPLICATE, replace(good, market=replace(market, created=offer_twice))),
        (Harm.LOST, replace(good, market=replace(market, created=no_listing))),
        (Harm.LOST, replace(good, market=replace(market, listing_state="ENDED"))),
        (Harm.LOST, replace(good, market=replace(market, picture_digests=market.picture_digests[::-1]))),
        (Harm.LOST, replace(good, market=replace(market, shown={**market.shown, "price_minor": 1}))),
        (Harm.LOST, replace(good, is_ended=True, listings=())),
        (Harm.DUPLICATE, replace(good, market=replace(market, sends={**market.sends, "create_offer": 2}))),
        (Harm.UNCLEAN, replace(good, effects=unresolved)),
        (Harm.UNCLEAN, replace(good, effects={**good.effects, "offer": EffectRow("DONE", "1")})),
        (Harm.UNCLEAN, replace(good, listings=())),
    ]
    for harm, evidence in spoilt:
        found = judge(evidence, rows, most_sends)
        assert [violation.harm for violation in found] == [harm], evidence
