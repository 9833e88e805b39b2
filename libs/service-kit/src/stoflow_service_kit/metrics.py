"""Prometheus metrics that every service exposes."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

_LATENCY_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


def new_registry() -> CollectorRegistry:
    """Makes a registry with the process's own metrics; one a process, made in bootstrap and handed on."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class GrpcServerMetrics:
    """Requests by method and code, how long they took, and how many run now."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "grpc_server_requests",
            "RPCs that ended, by method and status code.",
            ["method", "code"],
            registry=registry,
        )
        self.duration = Histogram(
            "grpc_server_request_seconds",
            "Seconds from the start of an RPC's handler to its end.",
            ["method"],
            buckets=_LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "grpc_server_requests_in_flight", "RPCs that run now.", ["method"], registry=registry
        )
