"""A batch to be created, with everything that the rows of its jobs need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from stoflow_orchestrator.engine.intake import PlannedTask
from stoflow_orchestrator.repositories.mutation import Mutation


class NewBatchJob(NamedTuple):
    """What the jobs of one batch do not share.

    `assignment` is the end of the serialized TaskAssignment, behind the part that all share; `plan` has no ids that
    anybody uses: each job's tasks get their own.
    """

    product_id: UUID
    assignment: bytes
    plan: Sequence[PlannedTask]


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch to be created, if its request_id is new and none of its subjects has a live job."""

    mutation: Mutation
    batch_id: UUID
    marketplace: str
    account_id: UUID
    site: str
    action: str
    manifest_version: str
    shared_assignment: bytes
    priority: int
    max_retries: int
    not_before_time: datetime | None
    expire_after_seconds: float
    jobs: Sequence[NewBatchJob]

    @property
    def tenant_id(self) -> int:
        """The tenant that owns it."""
        return self.mutation.tenant_id


@dataclass(frozen=True, slots=True)
class BatchIntake:
    """What became of a NewBatch.

    Attributes:
        create_time: When it was created; None when it was not.
        first: The mutation recorded under its request_id before; nothing was created.
        existing: By product, live jobs with the same subject; nothing was created.
    """

    create_time: datetime | None = None
    first: Mutation | None = None
    existing: Mapping[UUID, UUID] = field(default_factory=dict)
