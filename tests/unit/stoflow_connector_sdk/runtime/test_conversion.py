from typing import Any

import protovalidate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stoflow.catalog.v1.listing_pb2 import ListingState
from stoflow.catalog.v1.order_pb2 import OrderState
from stoflow.catalog.v1.product_pb2 import Product
from stoflow.connector.v1 import task_pb2

from stoflow_connector_sdk import (
    EffectGrant,
    EffectMode,
    EffectOutcome,
    FollowUp,
    ListingChange,
    OrderChange,
    PermanentError,
    RateLimitedError,
    RetryableError,
    TaskContext,
    TaskResult,
    Violation,
)
from stoflow_connector_sdk.redaction import known_secrets
from stoflow_connector_sdk.runtime.conversion import (
    failure_message,
    failure_report,
    success_report,
    task_context,
)
from stoflow_connector_sdk.testing import FixedListings, FixedTokens, make_task_context
from stoflow_service_kit.clock import ManualClock
from stoflow_service_kit.errors import InvalidArgumentError

COMMAND = task_pb2.TaskCommand(tenant_id=7, job_id="job", task_id="task", dispatch=1)


def convert(assignment: task_pb2.TaskAssignment, sent_at: float = 0.0) -> TaskContext:
    clock = ManualClock()
    return task_context(
        COMMAND,
        "token",
        assignment,
        sent_at=sent_at,
        token_source=FixedTokens("t"),
        listing_source=FixedListings(),
        clock=clock,
    )


def test_assignment_becomes_a_context() -> None:
    """Every part of the assignment is where a service looks for it."""
    assignment = task_pb2.TaskAssignment(
        name="publish",
        action="publish",
        item_index=0,
        attempt=2,
        site="EBAY_US",
        product=task_pb2.ProductSnapshot(
            product=Product(product_id="p"),
            mappings={"category": "63861"},
            value_lists={"color": task_pb2.MappedValues(values=["12", "1"])},
        ),
        effect=task_pb2.EffectGrant(key="k", generation=3, mode=task_pb2.EFFECT_MODE_PROBE, remote_id="r"),
    )
    assignment.account.account_id = "account"
    assignment.account.settings["policy"] = {"id": 5}
    assignment.options["quantity"] = 2
    assignment.input["cursor"] = "next"
    assignment.effect.settle_remaining.FromMilliseconds(1500)
    assignment.lease.FromSeconds(30)
    # Out of order on purpose, and with an index of 0, which protobuf does not tell from absence by its value.
    for index in (1, 0):
        assignment.outputs.add(name="upload", item_index=index).output["url"] = f"image-{index}"
    assignment.outputs.add(name="create")
    task = convert(assignment)
    assert (task.tenant_id, task.job_id, task.task_id, task.lease_token) == (7, "job", "task", "token")
    assert (task.name, task.action, task.attempt, task.site) == ("publish", "publish", 2, "EBAY_US")
    assert task.item_index == 0
    assert (task.account_id, task.account_settings) == ("account", {"policy": {"id": 5}})
    assert (task.product.product_id, task.mappings) == ("p", {"category": "63861"})
    assert task.value_lists == {"color": ("12", "1")}
    assert task.options == {"quantity": 2}
    assert task.input == {"cursor": "next"}
    assert task.outputs.list("upload") == [{"url": "image-0"}, {"url": "image-1"}]
    assert task.outputs["create"] == {}
    assert task.effect == EffectGrant("k", 3, EffectMode.PROBE, 1.5, "r")
    assert task.lease.duration_seconds == 30


def test_empty_assignment_has_empty_parts() -> None:
    """What is absent is empty or None, never a default that looks real."""
    task = convert(task_pb2.TaskAssignment(name="sync"))
    assert (task.item_index, task.product_or_none, task.effect) == (None, None, None)
    assert (dict(task.options), dict(task.account_settings), dict(task.mappings)) == ({}, {}, {})
    assert len(task.outputs) == 0


def test_unknown_effect_mode_probes() -> None:
    """A mode that this SDK does not know is not taken as permission to send."""
    assignment = task_pb2.TaskAssignment(effect=task_pb2.EffectGrant(key="k"))
    effect = convert(assignment).effect
    assert effect is not None
    assert effect.mode is EffectMode.PROBE


ONCE = EffectGrant("key")


def test_success_carries_output_remote_id_and_listing() -> None:
    """A full result arrives in the report, which keeps the contract's rules."""
    listing = ListingChange(remote_id="9", url="https://x", state=ListingState.LISTING_STATE_LIVE)
    task = make_task_context(effect=ONCE)
    report = success_report(task, TaskResult({"offer": "1"}, remote_id="9", listing=listing))
    protovalidate.validate(report)
    assert (report.tenant_id, report.job_id, report.task_id) == (task.tenant_id, task.job_id, task.task_id)
    assert report.lease_token == task.lease_token
    assert report.success.output["offer"] == "1"
    assert (report.success.remote_id, report.success.listing) == ("9", listing)


def test_empty_success_is_still_a_success() -> None:
    """A result without anything in it sets the outcome all the same."""
    report = success_report(make_task_context(), TaskResult())
    assert report.WhichOneof("outcome") == "success"
    assert not report.success.HasField("output")


@pytest.mark.parametrize(
    ("effect", "result", "problem"),
    [
        (ONCE, TaskResult(), "must return the remote_id"),
        (None, TaskResult(remote_id="x" * 201), "longer than 200"),
        (None, TaskResult({"text": "x" * 65_536}), "bytes as JSON"),
        (None, TaskResult({"when": object()}), "no JSON form"),
        (None, TaskResult(follow_ups=[FollowUp("page")] * 101), "appends 101 tasks"),
        (None, TaskResult(follow_ups=[FollowUp("page", {"t": "x" * 200_000})] * 2), "inputs of the appended"),
        (None, TaskResult(follow_ups=[FollowUp("Bad Name")]), "name"),
    ],
)
def test_results_against_the_contract_are_refused(
    effect: EffectGrant | None, result: TaskResult, problem: str
) -> None:
    """A result that the orchestrator would refuse is an error of the service, named."""
    with pytest.raises((ValueError, InvalidArgumentError), match=problem):
        success_report(make_task_context(effect=effect), result)


def test_listing_against_the_contract_is_refused() -> None:
    """A listing without an id or a state is an error of the service."""
    with pytest.raises(InvalidArgumentError, match="remote_id"):
        success_report(make_task_context(), TaskResult(listing=ListingChange()))


def test_appended_tasks_keep_order_index_and_input() -> None:
    """What a result appends arrives in order; an index of 0 differs from none."""
    follow_ups = [FollowUp("page", {"cursor": "b"}, item_index=0), FollowUp("page")]
    report = success_report(make_task_context(), TaskResult(follow_ups=follow_ups))
    protovalidate.validate(report)
    first, second = report.success.follow_ups
    assert (first.name, first.input["cursor"], first.HasField("item_index"), first.item_index) == (
        "page",
        "b",
        True,
        0,
    )
    assert (second.name, second.HasField("input"), second.HasField("item_index")) == ("page", False, False)


def test_output_at_the_limit_is_kept() -> None:
    """64 KiB of JSON are allowed."""
    output = {"t": "x" * (65_536 - len('{"t": ""}'))}
    assert success_report(make_task_context(), TaskResult(output)).success.output["t"] == output["t"]


def test_failure_carries_everything() -> None:
    """Class, effect, code, status, body, violations and delay arrive in the report."""
    error = PermanentError(
        "refused",
        violations=[Violation("product.title", "too long", "25001")],
        effect=EffectOutcome.NOT_SENT,
        code="25001",
        http_status=400,
        raw_body=b'{"errors": []}',
        retry_after_seconds=1.5,
    )
    report = failure_report(make_task_context(), error)
    protovalidate.validate(report)
    failure = report.failure
    assert (failure.error_class, failure.effect_outcome) == (4, 1)
    assert (failure.message, failure.code, failure.http_status) == ("refused", "25001", 400)
    assert failure.raw_body == '{"errors": []}'
    assert [(v.field, v.description, v.code) for v in failure.violations] == [
        ("product.title", "too long", "25001")
    ]
    assert failure.retry_after.ToTimedelta().total_seconds() == 1.5


def test_absent_delay_stays_absent() -> None:
    """Without a delay of its own a failure leaves the waiting to the orchestrator."""
    assert not failure_message(RateLimitedError("slow down")).HasField("retry_after")


any_text = st.text(st.characters(), max_size=50).map(lambda t: t * 200)


@settings(max_examples=25)
@given(any_text, any_text, st.integers(-1000, 10_000), any_text, st.floats(-10, 1e6))
def test_every_failure_keeps_the_rules_of_the_contract(
    message: str, code: str, status: int, body: str, delay: float
) -> None:
    """Whatever a service puts into an error, the report can be sent and is accepted."""
    error = PermanentError(
        message,
        violations=[Violation(code, message, code)] * 201,
        code=code,
        http_status=status,
        raw_body=body,
        retry_after_seconds=delay,
    )
    report = failure_report(make_task_context(), error)
    protovalidate.validate(task_pb2.TaskReport.FromString(report.SerializeToString()))


@pytest.mark.parametrize("field", ["message", "code", "raw_body"])
def test_failures_hold_no_secret(field: str) -> None:
    """A token that became known only after the error was made is removed from every text of it."""
    arguments: dict[str, Any] = {"message": "m", field: "token-value-4711 was refused"}
    error = RetryableError(arguments.pop("message"), **arguments)
    known_secrets.add("token-value-4711")
    assert "4711" not in str(failure_message(error))


def test_findings_of_a_sync_are_reported() -> None:
    """Found listings and orders go as they are; too many, or one that breaks the contract, are refused at once."""
    listing = ListingChange(remote_id="r1", state=ListingState.LISTING_STATE_LIVE, sku="DRESS1")
    order = OrderChange(remote_id="o1", state=OrderState.ORDER_STATE_PAID)
    order.place_time.FromSeconds(1)
    order.change_time.FromSeconds(2)
    result = TaskResult(found_listings=[listing], orders=[order])
    success = success_report(make_task_context(), result).success
    assert (list(success.found_listings), list(success.orders)) == ([listing], [order])
    with pytest.raises(ValueError, match="501 listings; at most 500"):
        success_report(make_task_context(), TaskResult(found_listings=[listing] * 501))
    with pytest.raises(ValueError, match="201 orders; at most 200"):
        success_report(make_task_context(), TaskResult(orders=[order] * 201))
    with pytest.raises(InvalidArgumentError):
        success_report(make_task_context(), TaskResult(orders=[OrderChange(remote_id="o1")]))
