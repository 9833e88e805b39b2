"""Tables of the schema `stats`."""

from stoflow_stats_service.models.base import SCHEMA, Base
from stoflow_stats_service.models.counted_event import CountedEvent
from stoflow_stats_service.models.error_stats import MarketplaceErrorStats
from stoflow_stats_service.models.generation import Generation, ReconciledDay
from stoflow_stats_service.models.job_stats import MarketplaceJobStats
from stoflow_stats_service.models.task_stats import MarketplaceTaskStats

__all__ = [
    "SCHEMA",
    "Base",
    "CountedEvent",
    "Generation",
    "MarketplaceErrorStats",
    "MarketplaceJobStats",
    "MarketplaceTaskStats",
    "ReconciledDay",
]
