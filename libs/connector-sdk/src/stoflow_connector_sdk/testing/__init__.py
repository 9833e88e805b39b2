"""Doubles for the tests of connectors: an orchestrator in memory, behind real gRPC."""

from stoflow_connector_sdk.testing.contexts import FixedListings, FixedTokens, make_task_context
from stoflow_connector_sdk.testing.harness import run_against
from stoflow_connector_sdk.testing.ledger import EffectRecord, JobRecord, TaskRecord
from stoflow_connector_sdk.testing.orchestrator import InMemoryOrchestrator
from stoflow_connector_sdk.testing.vault import PendingAuthorization

__all__ = [
    "EffectRecord",
    "FixedListings",
    "FixedTokens",
    "InMemoryOrchestrator",
    "JobRecord",
    "PendingAuthorization",
    "TaskRecord",
    "make_task_context",
    "run_against",
]
