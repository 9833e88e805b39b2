"""Batches: rows to messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stoflow.jobs.v1 import job_pb2
from stoflow.jobs.v1.batch_pb2 import Batch, BatchJobCount, BatchState

from stoflow_orchestrator.engine.new_batch import NewBatch
from stoflow_orchestrator.lifecycle import batch_state


def new_batch_message(batch: NewBatch, create_time: datetime) -> Batch:
    """Builds a batch that was just created: all its jobs are waiting."""
    message = Batch(
        batch_id=str(batch.batch_id),
        tenant_id=batch.tenant_id,
        account_id=str(batch.account_id),
        marketplace=batch.marketplace,
        action=batch.action,
        state=BatchState.BATCH_STATE_PENDING,
        counts=[BatchJobCount(state=job_pb2.JOB_STATE_PENDING, count=len(batch.jobs))],
        total_count=len(batch.jobs),
    )
    message.create_time.FromDatetime(create_time)
    return message


def batch_message(tenant_id: int, row: Any) -> Batch:
    """Builds a batch from a row of repositories.batch_reading; states that no job is in are left out."""
    ended = row.completed_count + row.failed_count + row.cancelled_count + row.expired_count
    counts = (
        (job_pb2.JOB_STATE_PENDING, row.total_count - ended - row.running_count - row.paused_count),
        (job_pb2.JOB_STATE_RUNNING, row.running_count),
        (job_pb2.JOB_STATE_PAUSED, row.paused_count),
        (job_pb2.JOB_STATE_COMPLETED, row.completed_count),
        (job_pb2.JOB_STATE_FAILED, row.failed_count),
        (job_pb2.JOB_STATE_CANCELLED, row.cancelled_count),
        (job_pb2.JOB_STATE_EXPIRED, row.expired_count),
    )
    state = batch_state(
        total=row.total_count,
        completed=row.completed_count,
        ended=ended,
        is_started=row.start_time is not None,
        is_cancelled=row.cancel_time is not None,
    )
    batch = Batch(
        batch_id=str(row.batch_id),
        tenant_id=tenant_id,
        account_id=str(row.account_id),
        marketplace=row.marketplace,
        action=row.action,
        state=BatchState.Value(f"BATCH_STATE_{state}"),
        counts=[BatchJobCount(state=state, count=count) for state, count in counts if count],
        total_count=row.total_count,
        ended_count=ended,
    )
    batch.create_time.FromDatetime(row.create_time)
    if row.finish_time is not None:
        batch.finish_time.FromDatetime(row.finish_time)
    return batch
