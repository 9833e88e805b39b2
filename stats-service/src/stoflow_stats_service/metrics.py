"""What the service tells about its counting."""

import math
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BATCH_BUCKETS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)


class CountingMetrics:
    """Metrics of the consumer; no label names a tenant or a job, whose number has no bound."""

    def __init__(self, registry: CollectorRegistry, now_seconds: Callable[[], float]) -> None:
        """Registers the metrics.

        Args:
            registry: Where they go.
            now_seconds: Tells the time in seconds since 1970.
        """
        self._newest_second = 0
        self.counted = Counter(
            "stats_events_counted", "Events counted for the first time.", registry=registry
        )
        self.duplicates = Counter(
            "stats_events_duplicate", "Events that were counted before.", registry=registry
        )
        self.late = Counter(
            "stats_events_late",
            "Events that were not counted: of days whose ids are forgotten, so they may have been counted.",
            registry=registry,
        )
        self.unknown = Counter(
            "stats_events_unknown",
            "Events whose kind of fact this release does not know, duplicates included.",
            registry=registry,
        )
        self.malformed = Counter(
            "stats_malformed", "Messages and events that can never be counted.", ["what"], registry=registry
        )
        self.refused = Counter(
            "stats_messages_refused", "Messages that the database refused to count.", registry=registry
        )
        self.failed_batches = Counter(
            "stats_batches_failed", "Batches that could not be written and come again.", registry=registry
        )
        self.batch_events = Histogram(
            "stats_batch_events", "Events of one transaction.", buckets=_BATCH_BUCKETS, registry=registry
        )
        self.batch_seconds = Histogram(
            "stats_batch_seconds", "Seconds of one transaction.", registry=registry
        )
        self.pending = Gauge(
            "stats_messages_pending", "Messages of the stream not yet delivered.", registry=registry
        )
        self.unacknowledged = Gauge(
            "stats_messages_unacknowledged",
            "Messages of the stream delivered and not yet acknowledged.",
            registry=registry,
        )
        age = Gauge(
            "stats_newest_event_age_seconds",
            "Seconds since the newest counted event occurred; NaN until one was counted.",
            registry=registry,
        )
        age.set_function(lambda: now_seconds() - self._newest_second if self._newest_second else math.nan)

    def saw_event_of(self, second: int) -> None:
        """Remembers when the newest counted event occurred."""
        self._newest_second = max(self._newest_second, second)
