"""What the scheduler counts, under the names of the real one."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

_BUCKETS = tuple(0.001 * 2**n for n in range(15))


class SchedulerMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "scheduler_schedule_attempts",
            "Attempts to schedule pods, by result.",
            ("result", "profile"),
            registry=registry,
        )
        self._durations = Histogram(
            "scheduler_scheduling_attempt_duration_seconds",
            "Duration of an attempt including binding.",
            ("result", "profile"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._known: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self._victims = Counter("scheduler_preemption_victims", "Pods taken away for others.", registry=registry)

    def attempt(self, result: str, profile: str, duration_s: float) -> None:
        known = self._known.get((result, profile))
        if known is None:  # to look the labels up costs more than to count
            known = self._attempts.labels(result, profile), self._durations.labels(result, profile)
            self._known[(result, profile)] = known
        attempts, durations = known
        attempts.inc()
        durations.observe(duration_s)

    def victims(self, number: int) -> None:
        self._victims.inc(number)
