"""How long a Job waits before it makes a pod in place of a failed one: 10 s, 20 s, 40 s, ... up to 10 minutes.

Follows: pkg/controller/job/backoff_utils.go
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from controllers.job.pods import all_failures_of_index, ended_at
from controllers.runtime.objects import View

FIRST_S, LONGEST_S = 10.0, 600.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """The failures since the last success, and when the last one was."""

    failures: int = 0
    last: datetime | None = None

    def after(self, succeeded: Iterable[View], failed: Iterable[View]) -> Backoff:
        """With pods that have ended since."""
        successes, failures = sorted(map(ended_at, succeeded)), sorted(map(ended_at, failed))
        if successes:
            later = [moment for moment in failures if moment > successes[-1]]
            return Backoff(len(later), later[-1] if later else None)
        if failures:
            return Backoff(self.failures + len(failures), failures[-1])
        return self

    def left_s(self, now: datetime) -> float:
        """How long to wait from now."""
        return remaining_s(self.failures, self.last, now) if self.last is not None else 0.0


def remaining_s(failures: int, last: datetime, now: datetime) -> float:
    if failures == 0:
        return 0.0
    delay_s = min(FIRST_S * 2.0 ** min(failures - 1, 30), LONGEST_S)
    return max(0.0, delay_s - (now - last).total_seconds())


def remaining_of_index_s(replaced: View, now: datetime) -> float:
    """How long the index of a failed pod must wait."""
    return remaining_s(all_failures_of_index(replaced) + 1, ended_at(replaced), now)
