"""A report that takes the job's next task along: no command and no StartTasks in between."""

from __future__ import annotations

import uuid

import nats.errors
import pytest
from google.protobuf import json_format
from stoflow.admin.v1 import admin_service_pb2
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import task_pb2
from stoflow.jobs.v1 import job_pb2, job_service_pb2

from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector, step

ACCEPTED = rpc.REPORT_DECISION_ACCEPTED
GRANTED = rpc.START_DECISION_GRANTED


def following(command: task_pb2.TaskCommand, result: rpc.TaskReportResult) -> task_pb2.TaskCommand:
    """Names the task that a report granted."""
    return task_pb2.TaskCommand(
        tenant_id=command.tenant_id, job_id=command.job_id, task_id=result.next.task_id, dispatch=1
    )


async def silent(connector: Connector) -> None:
    """Makes sure that no command was published."""
    with pytest.raises(nats.errors.TimeoutError):
        await connector.receive(0.5)


async def test_report_starts_the_next_task_with_the_outputs_so_far(shop: Shop) -> None:
    """The answer carries the whole assignment; the job runs to its end on one command."""
    connector = await shop.open(step("first"), step("second"), step("third", once="listing"))
    job = await shop.create_job()
    command, first = await connector.receive_and_start()
    tokens = [str(uuid.uuid4()) for _ in range(3)]

    second = await connector.succeed_and_go_on(command, first.lease_token, tokens[0], {"answer": 42})
    assert (second.decision, second.next.decision) == (ACCEPTED, GRANTED)
    assert (second.next.lease_token, second.next.task_id) == (tokens[0], job.tasks[1].task_id)
    assert second.next.assignment.name == "second"
    assert second.next.assignment.outputs[0].output["answer"] == 42

    command = following(command, second)
    third = await connector.succeed_and_go_on(command, tokens[0], tokens[1], {"page": [1, 2.5, None]})
    assert [o.name for o in third.next.assignment.outputs] == ["first", "second"]
    page = json_format.MessageToDict(third.next.assignment.outputs[1].output)
    assert page == {"page": [1, 2.5, None]}
    assert third.next.assignment.effect.mode == task_pb2.EFFECT_MODE_EXECUTE

    command = following(command, third)
    last = await connector.succeed_and_go_on(command, tokens[1], tokens[2], remote_id="r1")
    assert last.decision == ACCEPTED
    assert not last.HasField("next")
    await silent(connector)
    ended = await shop.wait_for_end(job.job_id)
    assert ended.state == job_pb2.JOB_STATE_COMPLETED
    assert (await shop.events(job.job_id)).count("TASK_STARTED") == 3


async def test_same_report_again_gets_the_same_grant(shop: Shop) -> None:
    """An answer that was lost is repaired by repeating the report; nothing starts twice."""
    connector = await shop.open()
    job = await shop.create_job()
    command, first = await connector.receive_and_start()
    token = str(uuid.uuid4())
    answers = [
        await connector.succeed_and_go_on(command, first.lease_token, token, {"answer": 42}) for _ in range(3)
    ]
    assert {a.next.task_id for a in answers} == {job.tasks[1].task_id}
    assert [a.next.assignment.attempt for a in answers] == [1, 1, 1]
    assert [a.next.assignment.outputs[0].output["answer"] for a in answers] == [42, 42, 42]
    assert (await shop.events(job.job_id)).count("TASK_STARTED") == 2
    other = await connector.succeed_and_go_on(command, first.lease_token, str(uuid.uuid4()))
    assert other.decision == ACCEPTED
    assert not other.HasField("next")


async def test_grant_whose_answer_nobody_received_runs_out(shop: Shop) -> None:
    """The lease ends without heartbeats, and the task goes to whoever pulls its command."""
    connector = await shop.open()
    job = await shop.create_job()
    command, first = await connector.receive_and_start()
    lost = str(uuid.uuid4())
    await connector.succeed_and_go_on(command, first.lease_token, lost)
    again, second = await connector.receive_and_start()
    assert (again.task_id, again.dispatch, second.assignment.attempt) == (job.tasks[1].task_id, 1, 2)
    assert await connector.succeed(again, second.lease_token) == ACCEPTED
    assert await connector.succeed(again, lost) == rpc.REPORT_DECISION_STALE_LEASE


async def test_drained_instance_is_not_given_the_next_task(shop: Shop) -> None:
    """It comes as a command, for another instance."""
    connector = await shop.open()
    await shop.create_job()
    command, first = await connector.receive_and_start()
    request = admin_service_pb2.DrainConnectorRequest(
        request_id=str(uuid.uuid4()), instance_id=connector.instance_id
    )
    await shop.stubs.admin.DrainConnector(request)
    answer = await connector.succeed_and_go_on(command, first.lease_token, str(uuid.uuid4()))
    assert answer.decision == ACCEPTED
    assert not answer.HasField("next")
    other = await shop.add_connector(connector.manifest)
    assert (await other.receive_and_start())[1].assignment.name == "second"


async def test_paused_job_stays_where_it_is(shop: Shop) -> None:
    """A report that arrives after the pause is accepted, and nothing is started."""
    connector = await shop.open()
    job = await shop.create_job()
    command, first = await connector.receive_and_start()
    request = job_service_pb2.PauseJobRequest(
        request_id=str(uuid.uuid4()), tenant_id=shop.tenant_id, job_id=job.job_id
    )
    await shop.stubs.jobs.PauseJob(request)
    answer = await connector.succeed_and_go_on(command, first.lease_token, str(uuid.uuid4()))
    assert answer.decision == ACCEPTED
    assert not answer.HasField("next")
    await silent(connector)
    assert (await shop.get_job(job.job_id)).tasks[1].state == job_pb2.TASK_STATE_PENDING


async def test_unregistered_instance_is_given_nothing(shop: Shop) -> None:
    """Another's registration is not enough: the next task is published."""
    connector = await shop.open()
    await shop.create_job()
    command, first = await connector.receive_and_start()
    stranger = Connector(shop.stubs, connector.nats_url, connector.manifest)
    answer = await stranger.succeed_and_go_on(command, first.lease_token, str(uuid.uuid4()))
    assert answer.decision == ACCEPTED
    assert not answer.HasField("next")
    assert (await connector.receive_and_start())[1].assignment.name == "second"


async def test_done_effect_of_another_job_is_probed_by_a_task_that_is_taken_along(shop: Shop) -> None:
    """What the ledger knows counts for tasks that no command started."""
    connector = await shop.open(step("first"), step("make", once="listing"))
    for mode in (task_pb2.EFFECT_MODE_EXECUTE, task_pb2.EFFECT_MODE_PROBE):
        job = await shop.create_job()
        command, first = await connector.receive_and_start()
        token = str(uuid.uuid4())
        answer = await connector.succeed_and_go_on(command, first.lease_token, token)
        assert answer.next.assignment.effect.mode == mode
        await connector.succeed(following(command, answer), token, remote_id="r1")
        await shop.wait_for_end(job.job_id)
