"""What operators see: rows to messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from google.protobuf.message import Message
from stoflow.admin.v1 import admin_pb2
from stoflow.jobs.v1.job_pb2 import JobState

from stoflow_orchestrator.engine.records import NO_PRODUCT


def connector_message(row: Any) -> admin_pb2.ConnectorInfo:
    """Builds a connector from a row of repositories.queues."""
    message = admin_pb2.ConnectorInfo(
        instance_id=str(row.instance_id),
        marketplace=row.marketplace,
        versions=row.versions,
        slots=row.slots,
        running_tasks=row.running_tasks,
    )
    set_times(message, row, "drain_time", "register_time", "expire_time")
    return message


def marketplace_gate_message(marketplace: str, row: Any | None) -> admin_pb2.MarketplaceGate:
    """Builds a marketplace's gate; without a row it is open and unlimited."""
    message = admin_pb2.MarketplaceGate(marketplace=marketplace)
    if row is not None:
        message.pause_reason = row.pause_reason
        if row.max_admitted_jobs is not None:
            message.max_admitted_jobs = row.max_admitted_jobs
        set_times(message, row, "pause_time")
    return message


def account_gate_message(row: Any) -> admin_pb2.AccountGate:
    """Builds an account's gate."""
    message = admin_pb2.AccountGate(
        account_id=str(row.account_id),
        tenant_id=row.tenant_id,
        marketplace=row.marketplace,
        is_connected=row.state == "CONNECTED",
        pause_reason=row.pause_reason,
        max_admitted_jobs=row.max_admitted_jobs,
    )
    set_times(message, row, "pause_time")
    return message


def dead_letter_message(row: Any) -> admin_pb2.DeadLetter:
    """Builds a dead letter."""
    message = admin_pb2.DeadLetter(
        job_id=str(row.job_id),
        tenant_id=row.tenant_id,
        marketplace=row.marketplace,
        account_id=str(row.account_id),
        product_id=str(row.product_id) if row.product_id else "",
        action=row.action,
        site=row.site,
        run=row.run,
        state=JobState.Value(f"JOB_STATE_{row.state}"),
    )
    message.failure.ParseFromString(row.failure)
    set_times(message, row, "finish_time")
    return message


def effect_message(row: Any) -> admin_pb2.Effect:
    """Builds an effect."""
    message = admin_pb2.Effect(
        effect_id=str(row.effect_id),
        tenant_id=row.tenant_id,
        account_id=str(row.account_id),
        product_id="" if row.product_id == NO_PRODUCT else str(row.product_id),
        site=row.site,
        name=row.name,
        state=admin_pb2.EffectState.Value(f"EFFECT_STATE_{row.state}"),
        generation=row.generation,
        remote_id=row.remote_id,
        job_id=str(row.job_id),
        task_id=str(row.task_id),
        needs_human=row.needs_human,
        late_remote_ids=row.late_remote_ids,
    )
    set_times(message, row, "last_send_time", "update_time")
    return message


def set_times(message: Message, row: Any, *names: str) -> None:
    """Copies those times that the row has."""
    for name in names:
        time: datetime | None = getattr(row, name)
        if time is not None:
            getattr(message, name).FromDatetime(time)
