"""An autoscaler's status while it is worked out: conditions by type, and the numbers.

Follows: pkg/controller/podautoscaler/horizontal.go setStatus, setConditionInList
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from controllers.runtime.objects import Object, View
from openapi.meta.times import format_time


class Status:
    """The status to be. `changed` gives the autoscaler with it, or None where nothing differs."""

    def __init__(self, autoscaler: View, now: datetime) -> None:
        self._autoscaler = autoscaler
        self._old: View = autoscaler.get("status") or {}
        self._new: Object = dict(self._old)
        self._now = now

    def condition(self, kind: str, status: str, reason: str, message: str) -> None:
        """Set a condition; the time of its transition moves only with its status."""
        conditions = [dict(found) for found in self._new.get("conditions") or ()]
        known = next((found for found in conditions if found["type"] == kind), None)
        if known is None:
            known = {"type": kind}
            conditions.append(known)
        if known.get("status") != status:
            known["lastTransitionTime"] = format_time(self._now)
        known |= {"status": status, "reason": reason, "message": message}
        self._new["conditions"] = conditions

    def counts(self, current: int, metrics: Sequence[Object] | None, desired: int | None = None) -> None:
        """What there is and was measured; `desired` of None stays as it was."""
        self._new["currentReplicas"] = current
        self._new["currentMetrics"] = list(metrics) if metrics is not None else None
        if desired is not None:
            self._new["desiredReplicas"] = desired

    def rescaled(self) -> None:
        self._new["lastScaleTime"] = format_time(self._now)

    def changed(self) -> Object | None:
        self._new.setdefault("desiredReplicas", 0)
        self._new.setdefault("currentMetrics", None)
        if _known(self._new) == _known(self._old):
            return None
        return {**self._autoscaler, "status": self._new}


def _known(status: View) -> tuple[Any, ...]:
    """What counts in comparing: zero and absent are the same, as are null and empty."""
    numbers = (status.get("currentReplicas") or 0, status.get("desiredReplicas") or 0)
    return (*numbers, status.get("lastScaleTime"), status.get("currentMetrics") or [], status.get("conditions") or [])
