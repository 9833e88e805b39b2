"""Answers find those who asked, late ones are told apart, and an id is never used for two sends."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from stoflow_connector_sdk import EffectGrant
from stoflow_connector_sdk.testing.contexts import make_task_context
from stoflow_connector_vinted.gateway.requests import (
    AccountRequests,
    is_derived,
    new_request_id,
    once_request_ids,
)


def result(request_id: str, epoch: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "type": "result",
        "request_id": request_id,
        "epoch": epoch,
        "outcome": "ANSWERED",
        "http_status": 200,
        "headers": {},
        "body": "{}",
        **fields,
    }


async def test_answer_of_an_earlier_epoch_is_fenced() -> None:
    """A result under a smaller epoch than its command's is late: nobody is given it as an answer."""
    requests = AccountRequests()
    command = requests.begin(new_request_id(), 5, "client")
    assert requests.settle(result(command.request_id, epoch=4))
    assert not command.answer.done()
    assert not requests.settle(result(command.request_id, epoch=5))
    assert command.answer.result().outcome == "ANSWERED"


async def test_browser_that_never_began_says_so_with_its_hello() -> None:
    """What a returning browser does not list was certainly not sent; another browser's silence says nothing."""
    requests = AccountRequests()
    command = requests.begin(new_request_id(), 1, "client")
    requests.greet("another", [])
    assert not command.answer.done()
    requests.greet("client", [])
    assert (command.answer.result().outcome, command.answer.result().error_kind) == ("NOT_SENT", "OFFLINE")


async def test_answer_of_a_once_command_is_kept_for_the_attempt_that_follows() -> None:
    """A result that nobody waits for is acknowledged at once, unless a later attempt may ask for it."""
    requests = AccountRequests()
    task = make_task_context(effect=EffectGrant("key"), attempt=3)
    ids = once_request_ids(task)
    assert requests.settle(result(str(uuid.uuid4())))
    assert not requests.settle(result(ids[2]))
    found = await requests.find_kept(ids, 0)
    assert found is not None
    assert found.request_id == ids[2]
    assert requests.forget(ids) == [ids[2]]
    assert await requests.find_kept(ids, 0) is None


async def test_running_command_is_waited_for() -> None:
    """A hello that lists a command as running makes its successor wait for the answer."""
    requests = AccountRequests()
    ids = once_request_ids(make_task_context(effect=EffectGrant("key"), attempt=1))
    requests.greet("client", [{"request_id": ids[0], "epoch": 1, "state": "RUNNING"}])
    asking = asyncio.create_task(requests.find_kept(ids, 5))
    await asyncio.sleep(0)
    assert not asking.done()
    requests.settle(result(ids[0]))
    found = await asking
    assert found is not None


def test_each_attempt_has_an_id_of_its_own_that_every_process_derives_alike() -> None:
    """Two attempts never share an id, and the second can name the first's."""
    first = once_request_ids(make_task_context(effect=EffectGrant("key"), attempt=1, task_id="t"))
    second = once_request_ids(make_task_context(effect=EffectGrant("key"), attempt=2, task_id="t"))
    assert second[1:] == first
    assert second[0] != first[0]
    assert is_derived(first[0])
    assert not is_derived(new_request_id())
