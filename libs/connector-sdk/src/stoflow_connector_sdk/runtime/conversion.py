"""Between the contract's messages and what connectors see."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import task_pb2

from stoflow_connector_sdk.errors import ConnectorError, PermanentError, RateLimitedError
from stoflow_connector_sdk.lease import Lease
from stoflow_connector_sdk.redaction import remove_secrets
from stoflow_connector_sdk.results import FollowUp, TaskResult
from stoflow_connector_sdk.task import (
    EffectGrant,
    EffectMode,
    ListingSource,
    TaskContext,
    TaskOutputs,
    TokenSource,
)
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.grpc_validation import check_message
from stoflow_service_kit.structs import fill_struct, struct_to_dict

MAX_OUTPUT_BYTES = 64 * 1024
MAX_INPUT_BYTES = 256 * 1024
MAX_FOLLOW_UPS = 100
MAX_FOUND_LISTINGS = 500
MAX_ORDERS = 200
_MAX_REMOTE_ID_CHARACTERS = 200
_MAX_RETRY_AFTER_SECONDS = 30 * 86_400
_EMPTY: Mapping[str, Any] = {}
_NO_OUTPUTS = TaskOutputs()


def task_context(
    command: task_pb2.TaskCommand,
    lease_token: str,
    assignment: task_pb2.TaskAssignment,
    *,
    sent_at: float,
    token_source: TokenSource,
    listing_source: ListingSource,
    clock: Clock,
    monotonic: Callable[[], float] = time.monotonic,
) -> TaskContext:
    """Builds what a service method is given; empty parts cost nothing."""
    has_product = assignment.HasField("product")
    account = assignment.account
    return TaskContext(
        tenant_id=command.tenant_id,
        job_id=command.job_id,
        task_id=command.task_id,
        action=assignment.action,
        name=assignment.name,
        lease=Lease(assignment.lease.ToNanoseconds() / 1e9, sent_at=sent_at, monotonic=monotonic),
        item_index=assignment.item_index if assignment.HasField("item_index") else None,
        attempt=assignment.attempt,
        site=assignment.site,
        account_id=account.account_id,
        account_settings=struct_to_dict(account.settings) if account.HasField("settings") else _EMPTY,
        mappings=dict(assignment.product.mappings) if has_product else _EMPTY,
        value_lists=_value_lists(assignment.product) if assignment.product.value_lists else _EMPTY,
        options=struct_to_dict(assignment.options) if assignment.HasField("options") else _EMPTY,
        outputs=_outputs(assignment) if assignment.outputs else _NO_OUTPUTS,
        input=struct_to_dict(assignment.input) if assignment.HasField("input") else _EMPTY,
        effect=_effect(assignment.effect) if assignment.HasField("effect") else None,
        lease_token=lease_token,
        granted_at=clock.monotonic(),
        product_or_none=assignment.product.product if has_product else None,
        token_source=token_source,
        listing_source=listing_source,
        clock=clock,
    )


def _value_lists(product: task_pb2.ProductSnapshot) -> Mapping[str, Sequence[str]]:
    return {attribute: tuple(mapped.values) for attribute, mapped in product.value_lists.items()}


def _outputs(assignment: task_pb2.TaskAssignment) -> TaskOutputs:
    found: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
    for entry in assignment.outputs:
        output = struct_to_dict(entry.output) if entry.HasField("output") else {}
        found.setdefault(entry.name, []).append((entry.item_index, output))
    return TaskOutputs(
        {
            name: [output for _, output in sorted(entries, key=lambda entry: entry[0])]
            for name, entries in found.items()
        }
    )


# A mode that this version does not know is met with the most careful one.
_EFFECT_MODES = {mode.value: mode for mode in EffectMode}


def _effect(grant: task_pb2.EffectGrant) -> EffectGrant:
    return EffectGrant(
        key=grant.key,
        generation=grant.generation,
        # A mode of a later contract is nothing to execute blindly.
        mode=_EFFECT_MODES.get(grant.mode, EffectMode.PROBE),
        settle_remaining_seconds=grant.settle_remaining.ToNanoseconds() / 1e9,
        remote_id=grant.remote_id,
    )


def success_report(context: TaskContext, result: TaskResult) -> task_pb2.TaskReport:
    """Builds the report of a task done.

    Raises:
        ValueError: The result breaks the contract.
    """
    report = _report(context)
    success = report.success
    success.SetInParent()
    if result.output:
        fill_struct(success.output, result.output)
        _check_size("the output", MAX_OUTPUT_BYTES, success.output, result.output)
    if result.remote_id:
        if len(result.remote_id) > _MAX_REMOTE_ID_CHARACTERS:
            raise ValueError(f"remote_id is longer than {_MAX_REMOTE_ID_CHARACTERS} characters")
        success.remote_id = result.remote_id
    elif context.effect is not None:
        raise ValueError("a step with `once` must return the remote_id of what it made")
    if result.listing is not None:
        check_message(result.listing)
        success.listing.CopyFrom(result.listing)
    if result.follow_ups:
        _add_follow_ups(success, result.follow_ups)
    if result.found_listings or result.orders:
        _add_findings(success, result)
    return report


def _add_findings(success: task_pb2.TaskSuccess, result: TaskResult) -> None:
    for what, found, limit in (
        ("listings", result.found_listings, MAX_FOUND_LISTINGS),
        ("orders", result.orders, MAX_ORDERS),
    ):
        if len(found) > limit:
            raise ValueError(f"a result has {len(found)} {what}; at most {limit} are allowed")
        for entry in found:
            check_message(entry)
    success.found_listings.extend(result.found_listings)
    success.orders.extend(result.orders)


def _add_follow_ups(success: task_pb2.TaskSuccess, follow_ups: Sequence[FollowUp]) -> None:
    if len(follow_ups) > MAX_FOLLOW_UPS:
        raise ValueError(f"a result appends {len(follow_ups)} tasks; at most {MAX_FOLLOW_UPS} are allowed")
    for follow_up in follow_ups:
        entry = success.follow_ups.add(name=follow_up.name)
        if follow_up.item_index is not None:
            entry.item_index = follow_up.item_index
        if follow_up.input:
            fill_struct(entry.input, follow_up.input)
        check_message(entry)
    inputs = [follow_up.input for follow_up in follow_ups]
    _check_size("the inputs of the appended tasks", MAX_INPUT_BYTES, success, inputs)


def _check_size(what: str, limit: int, message: Message, values: Any) -> None:
    # The binary form is never much smaller than the JSON, and counting it costs next to nothing.
    if message.ByteSize() < limit // 2:
        return
    size = len(json.dumps(values, ensure_ascii=False, default=dict).encode())
    if size > limit:
        raise ValueError(f"{what} takes {size} bytes as JSON; at most {limit} are kept")


def failure_report(context: TaskContext, error: ConnectorError) -> task_pb2.TaskReport:
    """Builds the report of a failed attempt, within the contract's bounds and without secrets."""
    report = _report(context)
    report.failure.CopyFrom(failure_message(error))
    return report


def failure_message(error: ConnectorError) -> failure_pb2.Failure:
    """Builds the contract's failure, within its bounds and without secrets."""
    failure = failure_pb2.Failure(
        error_class=failure_pb2.ErrorClass.ValueType(error.error_class),
        effect_outcome=failure_pb2.EffectOutcome.ValueType(error.effect),
        message=_text(error.message, 4000),
        code=_text(error.code, 200),
        http_status=error.http_status if 0 <= error.http_status <= 599 else 0,
        # Tokens handed out since the error was made are removed as well, which may lengthen the text.
        raw_body=remove_secrets(error.raw_body).encode()[: 16 * 1024].decode("utf-8", "ignore"),
    )
    if isinstance(error, PermanentError):
        for violation in error.violations[:200]:
            failure.violations.add(
                field=_text(violation.field, 300),
                description=_text(violation.description, 2000),
                code=_text(violation.code, 100),
            )
    if isinstance(error, RateLimitedError):
        failure.rate_limit_scope = failure_pb2.RateLimitScope.ValueType(error.scope)
    if error.retry_after_seconds is not None:
        seconds = min(max(error.retry_after_seconds, 0), _MAX_RETRY_AFTER_SECONDS)
        failure.retry_after.FromNanoseconds(int(seconds * 1e9))
    return failure


def _report(context: TaskContext) -> task_pb2.TaskReport:
    return task_pb2.TaskReport(
        tenant_id=context.tenant_id,
        job_id=context.job_id,
        task_id=context.task_id,
        lease_token=context.lease_token,
    )


def _text(text: str, limit: int) -> str:
    # Cut roughly first: searching a text costs more than is ever kept of it.
    clean = remove_secrets(text[: limit * 4]).encode("utf-8", "replace").decode().replace("\x00", "")
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
