"""The pods of a DaemonSet: how they are made for a node, and which node they are for.

Follows: pkg/controller/daemon/util/daemonset_util.go
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from controllers.runtime.kinds import DAEMON_SETS
from controllers.runtime.objects import Object, View, annotations_of, controller_reference, labels_of, name_of
from controllers.workloads.history import REVISION_LABEL
from controllers.workloads.nodes import has_untolerated, matches_selection
from controllers.workloads.pods import pod_from_template

GENERATION = "deprecated.daemonset.template.generation"
GENERATION_LABEL = "pod-template-generation"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_TOLERATED_IN_HOST_NETWORK = (("node.kubernetes.io/network-unavailable", "NoSchedule"),)


def generation_of(daemon_set: View) -> str:
    return annotations_of(daemon_set).get(GENERATION, "")


def is_updated(daemon_set: View, pod: View, digest: str) -> bool:
    """Whether the pod was made from the present template."""
    labels, generation = labels_of(pod), generation_of(daemon_set)
    by_generation = bool(generation) and labels.get(GENERATION_LABEL) == generation
    return by_generation or (bool(digest) and labels.get(REVISION_LABEL) == digest)


def tolerations_of(spec: View) -> list[Object]:
    """The tolerations of the template and those that every daemon has."""
    wanted = _TOLERATED + (_TOLERATED_IN_HOST_NETWORK if spec.get("hostNetwork") else ())
    tolerations: list[Object] = [dict(one) for one in spec.get("tolerations") or ()]
    for key, effect in wanted:
        made = {"key": key, "operator": "Exists", "effect": effect}
        for index, known in enumerate(tolerations):
            if all(known.get(field, "") == made.get(field, "") for field in ("key", "effect", "operator", "value")):
                tolerations[index] = made
                break
        else:
            tolerations.append(made)
    return tolerations


def pod_for_node(daemon_set: View, node: str, digest: str) -> Object:
    pod = pod_from_template(daemon_set["spec"]["template"], daemon_set, controller_reference(DAEMON_SETS, daemon_set))
    labels = {**labels_of(pod)}
    if generation_of(daemon_set):
        labels[GENERATION_LABEL] = generation_of(daemon_set)
    if digest:
        labels[REVISION_LABEL] = digest
    pod["metadata"]["labels"] = labels
    spec = pod["spec"]
    affinity = _affinity_to(node, spec.get("affinity") or {})
    pod["spec"] = {**spec, "affinity": affinity, "tolerations": tolerations_of(spec)}
    return pod


def _affinity_to(node: str, affinity: View) -> Object:
    """The affinity with its required terms replaced by one that names the node."""
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    node_affinity: dict[str, Any] = {**(affinity.get("nodeAffinity") or {})}
    node_affinity[_REQUIRED] = {"nodeSelectorTerms": [term]}
    return {**affinity, "nodeAffinity": node_affinity}


def node_of(pod: View) -> str:
    """The node that the pod is on or is meant for; '' where it does not say."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    for term in (affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            values: Sequence[str] = field.get("values") or ()
            if field["key"] == "metadata.name" and field["operator"] == "In" and len(values) == 1:
                return values[0]
    return ""


def judge_of(daemon_set: View) -> Callable[[View], tuple[bool, bool]]:
    """A function that tells of a node whether a pod should be made for it, and whether one that is there may stay."""
    spec = daemon_set["spec"]["template"]["spec"]
    tolerations, only = tolerations_of(spec), spec.get("nodeName")

    def judge(node: View) -> tuple[bool, bool]:
        if (only and only != name_of(node)) or not matches_selection(spec, node):
            return False, False
        if not has_untolerated(node, tolerations, ("NoSchedule", "NoExecute")):
            return True, True
        return False, not has_untolerated(node, tolerations, ("NoExecute",))

    return judge
