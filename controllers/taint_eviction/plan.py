"""How long a pod may stay under a node's NoExecute taints.

Follows: pkg/controller/tainteviction/taint_eviction.go, staging/src/k8s.io/api/core/v1/toleration.go
"""

from __future__ import annotations

from collections.abc import Sequence

from controllers.runtime.objects import View

FOREVER = -1.0


def evicting_taints(node: View | None) -> Sequence[View]:
    """The node's NoExecute taints; none without a node."""
    if node is None:
        return []
    return [taint for taint in node["spec"].get("taints") or () if taint.get("effect") == "NoExecute"]


def tolerates(toleration: View, taint: View) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return bool(operator == "Equal" and toleration.get("value", "") == taint.get("value", ""))


def seconds_to_stay(taints: Sequence[View], tolerations: Sequence[View]) -> float:
    """0: the pod must go now; FOREVER: it may stay; else the shortest time that its tolerations grant."""
    used = []
    for taint in taints:
        found = next((toleration for toleration in tolerations if tolerates(toleration, taint)), None)
        if found is None:
            return 0.0
        used.append(found)
    limits = [found.get("tolerationSeconds") for found in used]
    return min((max(0.0, float(limit)) for limit in limits if limit is not None), default=FOREVER)
