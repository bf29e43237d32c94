"""Metrics under upstream's names, counted in plain dictionaries and put in Prometheus' form only when asked.

A request costs one dictionary look-up and a bisection; label sets are kept as tuples.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

Labels = tuple[str, ...]

REQUEST_LABELS = ("verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component", "code")
DURATION_LABELS = ("verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component")
STORE_LABELS = ("operation", "resource")
_DURATIONS_S = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
)  # fmt: skip


@dataclass(slots=True)
class Histogram:
    """Counts per bucket (the last is +Inf) and the sum of all values."""

    bounds: tuple[float, ...] = _DURATIONS_S
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        running, found = 0, []
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            running += count
            found.append((bound, float(running)))
        return found


class Metrics:
    """All counters of one API server process."""

    def __init__(self, version: str) -> None:
        self.requests: dict[Labels, int] = {}
        self.durations: dict[Labels, Histogram] = {}
        self.store: dict[Labels, Histogram] = {}
        self.watches: dict[Labels, int] = {}
        self.gauges: dict[str, dict[Labels, float]] = {}
        self.sources: list[Callable[[], Iterable[Metric]]] = []
        """Asked for what they know each time."""
        self.in_flight = {"readOnly": 0, "mutating": 0}
        self._version = version
        self._sources: list[Iterable[Metric]] = []
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(_Collector(self))

    def request(self, labels: Labels, code: str, seconds: float) -> None:
        """Count one finished request. `labels` as `DURATION_LABELS`."""
        key = (*labels, code)
        self.requests[key] = self.requests.get(key, 0) + 1
        histogram = self.durations.get(labels)
        if histogram is None:
            histogram = self.durations[labels] = Histogram()
        histogram.observe(seconds)

    def store_operation(self, operation: str, resource: str, seconds: float) -> None:
        key = (operation, resource)
        histogram = self.store.get(key)
        if histogram is None:
            histogram = self.store[key] = Histogram()
        histogram.observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def families(self) -> Iterator[Metric]:
        counter = CounterMetricFamily(
            "apiserver_request", "Requests by verb, resource and code.", labels=REQUEST_LABELS
        )
        for labels, count in self.requests.items():
            counter.add_metric(labels, count)
        yield counter
        yield _histograms(
            "apiserver_request_duration_seconds", "Time to answer a request.", DURATION_LABELS, self.durations
        )
        yield _histograms("etcd_request_duration_seconds", "Time of a store operation.", STORE_LABELS, self.store)
        flight = GaugeMetricFamily(
            "apiserver_current_inflight_requests", "Requests being answered.", labels=("request_kind",)
        )
        for kind, number in self.in_flight.items():
            flight.add_metric((kind,), number)
        yield flight
        open_watches = GaugeMetricFamily(
            "apiserver_longrunning_requests",
            "Open watches and streams.",
            labels=("verb", "group", "version", "resource", "subresource", "scope", "component"),
        )
        for labels, number in self.watches.items():
            open_watches.add_metric(labels, number)
        yield open_watches
        build = GaugeMetricFamily("kubernetes_build_info", "The version served.", labels=("git_version",))
        build.add_metric((self._version,), 1)
        yield build
        for name, values in self.gauges.items():
            gauge = GaugeMetricFamily(name, name.replace("_", " "), labels=("resource",))
            for labels, value in values.items():
                gauge.add_metric(labels, value)
            yield gauge
        for source in self.sources:
            yield from source()


class _Collector:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.families()


def _histograms(name: str, text: str, labels: tuple[str, ...], found: dict[Labels, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for values, histogram in found.items():
        family.add_metric(values, histogram.buckets(), histogram.total)
    return family
