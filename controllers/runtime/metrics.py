"""Metrics of a client process, under upstream's names, for `/metrics`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LATENCY_S = (1e-4, 1e-3, 1e-2, 0.1, 1, 10)


class Metrics:
    """One registry per process. Follows: staging/src/k8s.io/component-base/metrics/prometheus/workqueue/metrics.go"""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        name = ("name",)
        self.queue_depth = Gauge("workqueue_depth", "Keys waiting.", name, registry=registry)
        self.queue_adds = Counter("workqueue_adds_total", "Keys added.", name, registry=registry)
        self.queue_retries = Counter("workqueue_retries_total", "Keys tried again.", name, registry=registry)
        self.work_s = Histogram(
            "workqueue_work_duration_seconds", "Time to work on a key.", name, buckets=_LATENCY_S, registry=registry
        )
        self.leader = Gauge("leader_election_master_status", "1 while leading.", name, registry=registry)

    def text(self) -> bytes:
        return generate_latest(self.registry)
