"""Which pods have to go so that a critical one finds room on a node that is full. Pure.

Follows: pkg/kubelet/preemption/preemption.go, pkg/kubelet/types/pod_update.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nodeagent.pods import spec
from nodeagent.pods.spec import View

CRITICAL_PRIORITY = 2_000_000_000
REASON, MESSAGE = "Preempting", "Preempted in order to admit critical pod"
DISRUPTION = "Pod was preempted by Kubelet to accommodate a critical pod."
_FAILED = "Unexpected error while attempting to recover from admission failure"
_CLASSES = ("BestEffort", "Burstable", "Guaranteed")
"""In the order in which they go."""


class NoVictims(Exception):
    """Not even all who may be sent away have what is lacking."""


def is_critical(pod: View) -> bool:
    return spec.is_static(pod) or spec.is_mirror(pod) or _priority(pod) >= CRITICAL_PRIORITY


def victims(pod: View, others: Iterable[View], lacking: Mapping[str, int]) -> list[View]:
    """The pods to send away for `pod`; `lacking` are amounts by resource, as `amount` counts. Raises NoVictims.

    As few as possible, and of a better class only what the worse ones cannot give.
    """
    lesser = [other for other in others if _may_go(other, pod)]
    classes = {name: [other for other in lesser if spec.qos_class(other) == name] for name in _CLASSES}
    _check(_without(lacking, lesser))
    chosen: dict[str, list[View]] = {}
    for position in reversed(range(len(_CLASSES))):
        name, worse = _CLASSES[position], _CLASSES[:position]
        gone = [other for one in worse for other in classes[one]] + [other for one in chosen.values() for other in one]
        chosen[name] = _fewest(classes[name], _without(lacking, gone))
    return [other for name in _CLASSES for other in chosen[name]]


def amount(pod: View, name: str) -> int:
    """What a pod asks for of a resource: thousandths of processors, else whole units; of pods it is one."""
    if name == "pods":
        return 1
    asked = spec.pod_requests(pod).get(name, 0)
    return asked if name == "cpu" else -(-asked // 1000)


def _priority(pod: View) -> int:
    return int(pod["spec"].get("priority") or 0)


def _may_go(other: View, pod: View) -> bool:
    return (is_critical(pod) and not is_critical(other)) or _priority(pod) > _priority(other)


def _without(lacking: Mapping[str, int], gone: Sequence[View]) -> dict[str, int]:
    left = {name: missing - sum(amount(pod, name) for pod in gone) for name, missing in lacking.items()}
    return {name: missing for name, missing in left.items() if missing > 0}


def _check(lacking: Mapping[str, int]) -> None:
    if lacking:
        listed = "".join(f"(res: {name}, q: {missing}), " for name, missing in lacking.items())
        why = f"no set of running pods found to reclaim resources: [{listed}]"
        raise NoVictims(f"{_FAILED}: preemption: error finding a set of pods to preempt: {why}")


def _fewest(pods: Sequence[View], lacking: Mapping[str, int]) -> list[View]:
    """One after the other, each the one that gives the largest part, of equal ones the smallest. Raises NoVictims."""
    left, chosen = list(pods), []
    while lacking:
        if not left:
            _check(lacking)
        best = min(left, key=lambda pod: (_distance(pod, lacking), amount(pod, "memory"), amount(pod, "cpu")))
        left.remove(best)
        chosen.append(best)
        lacking = _without(lacking, [best])
    return chosen


def _distance(pod: View, lacking: Mapping[str, int]) -> float:
    missing = ((max(0, want - amount(pod, name)) / want) ** 2 for name, want in lacking.items())
    return sum(missing)
