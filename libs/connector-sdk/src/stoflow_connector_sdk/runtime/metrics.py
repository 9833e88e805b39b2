"""What a connector counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class ConnectorMetrics:
    """Metrics of one connector process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.results = Counter(
            "stoflow_connector_results",
            "Attempts that ended here, by action, step and outcome (SUCCESS, an error class, or ABANDONED).",
            ["action", "step", "outcome"],
            registry=registry,
        )
        # Looking a child up by its labels costs more than counting, and there are few of them.
        self._children: dict[tuple[str, str, str], Counter] = {}
        self.reports = Counter(
            "stoflow_connector_reports",
            "Reports that were answered, by decision.",
            ["decision"],
            registry=registry,
        )
        self.starts = Counter(
            "stoflow_connector_starts",
            "Commands that were answered, by decision.",
            ["decision"],
            registry=registry,
        )
        self.running = Gauge(
            "stoflow_connector_tasks_running",
            "Attempts between grant and answered report.",
            registry=registry,
        )

    def count_result(self, action: str, step: str, outcome: str) -> None:
        """Counts one attempt that ended."""
        key = (action, step, outcome)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self.results.labels(*key)
        child.inc()
