"""What every command has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar
from uuid import UUID

from stoflow_orchestrator.engine.changes import Changes

ResultT = TypeVar("ResultT")


class Command(ABC, Generic[ResultT]):
    """Something asked of one live job."""

    # Whether deciding it may move the job on to its next task.
    needs_next_task: ClassVar[bool] = False

    @property
    @abstractmethod
    def job_id(self) -> UUID:
        """The job whose row is locked."""

    @property
    def names_task(self) -> UUID | None:
        """A task that must be loaded wherever it stands in the job."""
        return None

    @property
    def names_instance(self) -> UUID | None:
        """A connector instance whose registration must be loaded."""
        return None

    @property
    def needs_outputs(self) -> bool:
        """Whether deciding it needs the outputs of the job's earlier tasks."""
        return False

    @property
    def appends_tasks(self) -> bool:
        """Whether deciding it may append tasks to the job."""
        return False

    @abstractmethod
    def decide(self, changes: Changes) -> ResultT:
        """Decides and notes what changes; must not await and must not raise for what a caller did wrong."""
