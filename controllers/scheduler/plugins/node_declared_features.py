"""NodeDeclaredFeatures: what a pod asks of the node agent must be among the features that the node declares.

Follows: pkg/scheduler/framework/plugins/nodedeclaredfeatures/nodedeclaredfeatures.go,
staging/src/k8s.io/component-helpers/nodedeclaredfeatures/features
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from controllers.scheduler.framework import (
    ClusterEvent,
    Cycle,
    Filter,
    PreFilter,
    PreFilterAnswer,
    Rejection,
    Rows,
)
from controllers.scheduler.pod import PodInfo, Template

RESTART_ALL = "RestartAllContainersOnContainerExits"
USER_NAMESPACES = "UserNamespacesHostNetworkSupport"
REASON = "node declared features check failed - unsatisfied requirements: "

View = Mapping[str, Any]


class NodeDeclaredFeatures(PreFilter, Filter):
    name = "NodeDeclaredFeatures"

    def concerns(self, template: Template) -> bool:
        return bool(features_of(template.spec))

    def pre_filter(self, cycle: Cycle) -> PreFilterAnswer:
        return None

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        wanted = features_of(cycle.template.spec)
        snapshot = cycle.snapshot
        by_reason: dict[str, Any] = {}
        for row in np.arange(snapshot.size)[rows]:
            declared = (snapshot.nodes[row].get("status") or {}).get("declaredFeatures") or ()
            missing = [feature for feature in wanted if feature not in declared]
            if missing and snapshot.alive[row]:
                reason = REASON + ", ".join(missing)
                by_reason.setdefault(reason, np.zeros(snapshot.size, dtype=np.bool_))[row] = True
        return [Rejection(failing[rows], reason, True) for reason, failing in by_reason.items()]

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        return event.resource == "nodes" and (event.action == "add" or "features" in event.fields)


def features_of(spec: View) -> tuple[str, ...]:
    """The features that a node must have declared for such a pod."""
    found: list[str] = []
    containers = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
    rules = (rule for container in containers for rule in container.get("restartPolicyRules") or ())
    if any(rule.get("action") == "RestartAllContainers" for rule in rules):
        found.append(RESTART_ALL)
    if spec.get("hostNetwork") and spec.get("hostUsers") is False:
        found.append(USER_NAMESPACES)
    return tuple(found)
