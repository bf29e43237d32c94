"""SchedulingGates: a pod with gates waits until the last one is removed."""

from __future__ import annotations

from controllers.scheduler.framework import ClusterEvent, PreEnqueue
from controllers.scheduler.pod import PodInfo


class SchedulingGates(PreEnqueue):
    name = "SchedulingGates"

    def pre_enqueue(self, pod: PodInfo) -> bool:
        return not pod.obj["spec"].get("schedulingGates")

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        return event.resource == "pod" and "gates" in event.fields
