"""A cluster of plain data for tests: nodes and pods in a world, and attempts to place more."""

from __future__ import annotations

import random
from typing import Any

from controllers.scheduler.config import build_profile
from controllers.scheduler.cycle import choose, feasible_rows, total_scores
from controllers.scheduler.framework import Cycle, Diagnosis, Ints, PostFilter, PostFilterResult
from controllers.scheduler.nomination import Nominations
from controllers.scheduler.pod import PodInfo, Templates
from controllers.scheduler.world import World

Object = dict[str, Any]


def node(
    name: str, *, labels: dict[str, str] | None = None, taints: list[Object] | None = None, **offered: str
) -> Object:
    """A node with 4 CPUs, 8Gi and 110 pods, unless `offered` says else (`cpu='2'`)."""
    allocatable = {"cpu": "4", "memory": "8Gi", "pods": "110"} | offered
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": {"taints": taints or []},
        "status": {"allocatable": allocatable},
    }


def pod(name: str, *, labels: dict[str, str] | None = None, requests: Object | None = None, **spec: Any) -> Object:
    """A pod with one container; `requests` are its, everything else goes into the specification."""
    container = {"name": "c", "image": "i", "resources": {"requests": requests or {}}}
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "labels": labels or {}}
    return {"metadata": metadata, "spec": {"containers": [container], **spec}, "status": {}}


class Cluster:
    """A world with the default profile (or one with `configuration`)."""

    def __init__(self, *nodes: Object, configuration: Object | None = None) -> None:
        self.world = World()
        self.profile = build_profile(configuration or {}, self.world)
        self.nominations = Nominations()
        self.templates = Templates()
        for each in nodes:
            self.world.snapshot.set_node(each)

    def run(self, obj: Object, on: str) -> PodInfo:
        """Put a pod on a node."""
        info = self.templates.info({**obj, "spec": {**obj["spec"], "nodeName": on}})
        self.world.snapshot.add_pod(info)
        return info

    def cycle(self, obj: Object) -> Cycle:
        return Cycle(self.templates.info(obj), self.world, self.profile, self.nominations)

    def feasible(self, obj: Object) -> set[str]:
        """The names of the nodes where the pod fits."""
        rows = feasible_rows(self.cycle(obj))
        return set() if isinstance(rows, Diagnosis) else {self.world.snapshot.names[row] for row in rows}

    def place(self, obj: Object) -> str:
        """The node that is chosen, or the message why there is none, without preemption."""
        cycle = self.cycle(obj)
        rows = feasible_rows(cycle)
        if isinstance(rows, Diagnosis):
            return rows.message()
        return self.world.snapshot.names[choose(cycle, rows, None, random.Random(1))]

    def scores(self, obj: Object) -> dict[str, int]:
        """The total score of each node where the pod fits."""
        cycle = self.cycle(obj)
        rows = feasible_rows(cycle)
        assert not isinstance(rows, Diagnosis), rows.message()
        total: Ints = total_scores(cycle, rows)
        return {self.world.snapshot.names[row]: int(score) for row, score in zip(rows, total, strict=True)}

    def preempt(self, obj: Object) -> PostFilterResult:
        """What the default preemption makes of a pod that fits nowhere."""
        cycle = self.cycle(obj)
        diagnosis = feasible_rows(cycle)
        assert isinstance(diagnosis, Diagnosis)
        preemption = next(p for p in self.profile.of(PostFilter) if p.name == "DefaultPreemption")  # type: ignore[type-abstract]
        return preemption.post_filter(cycle, diagnosis)
