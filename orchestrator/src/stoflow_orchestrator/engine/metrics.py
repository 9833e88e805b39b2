"""What the engine tells about its work; no label names a tenant or a job, whose number has no bound."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_GROUP_BUCKETS = (1, 2, 5, 10, 25, 50, 100)


class EngineMetrics:
    """Metrics of the committer, the reaper and the publisher."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.group_size = Histogram(
            "orchestrator_commit_group_size",
            "Commands and new jobs written by one transaction.",
            buckets=_GROUP_BUCKETS,
            registry=registry,
        )
        self.waiting = Gauge(
            "orchestrator_commit_waiting", "Commands and new jobs that wait to be written.", registry=registry
        )
        self.reaped = Counter(
            "orchestrator_reaped",
            "What time alone made due: lost leases, unstarted tasks, expired jobs.",
            ["command"],
            registry=registry,
        )
        self.published = Counter(
            "orchestrator_messages_published",
            "Messages that JetStream has acknowledged.",
            ["kind"],
            registry=registry,
        )
        self.publish_failures = Counter(
            "orchestrator_publish_failures",
            "Messages that JetStream did not acknowledge; each is published again later.",
            registry=registry,
        )
        self.archived_jobs = Counter(
            "orchestrator_jobs_archived", "Jobs moved to their tenant's history.", registry=registry
        )
