"""Whether the node takes a pod that was given to it: does it fit and belong here, and is allowed what it asks. Pure.

Follows: pkg/kubelet/lifecycle/predicate.go, pkg/scheduler/framework/plugins (general predicates), pkg/kubelet/sysctl
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nodeagent.pods import security, spec
from nodeagent.pods.spec import View
from openapi.meta.quantity import Quantity
from openapi.meta.selectors import new_requirement

_FIRST = ("cpu", "memory", "ephemeral-storage")
"""The order in which resources are looked at."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a pod is not taken; `reason` becomes its status' reason."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Lack:
    """A resource of which there is not enough, in thousandths of processors or whole units."""

    name: str
    requested: int
    used: int
    capacity: int

    @property
    def amount(self) -> int:
        """How much is missing."""
        return self.requested - (self.capacity - self.used)

    @property
    def message(self) -> str:
        numbers = f"requested: {self.requested}, used: {self.used}, capacity: {self.capacity}"
        return f"Node didn't have enough resource: {self.name}, {numbers}"


def admit(
    pod: View,
    others: Iterable[View],
    node: View,
    allowed_sysctls: tuple[str, ...] = (),
    *,
    has_apparmor: bool = True,
    has_room: bool = False,
) -> Rejection | None:
    """None when the node takes the pod. `others` are the pods that the node has taken and that have not ended.

    With `has_room` what the pod asks for is taken to be there.
    """
    forbidden = security.forbidden_sysctl(pod, allowed_sysctls)
    if forbidden:
        return Rejection("SysctlForbidden", forbidden)
    rejection = _unsupported(pod, node) or _no_place(pod, list(others), node, has_room=has_room)
    if rejection is None and not has_apparmor and security.wants_apparmor(pod):
        return Rejection("AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host")
    return rejection


def _unsupported(pod: View, node: View) -> Rejection | None:
    """What no room on the node would help."""
    if (pod["metadata"].get("labels") or {}).get("kubernetes.io/os", "linux") != "linux":
        message = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"
        return Rejection("PodOSSelectorNodeLabelDoesNotMatch", message)
    if (pod["spec"].get("os") or {}).get("name", "linux") != "linux":
        return Rejection("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
    policy = (pod["spec"].get("securityContext") or {}).get("supplementalGroupsPolicy")
    features = (node.get("status") or {}).get("features") or {}
    if policy == "Strict" and not features.get("supplementalGroupsPolicy"):
        message = "SupplementalGroupsPolicy=Strict is not supported in this node"
        return Rejection("SupplementalGroupsPolicyNotSupported", message)
    return None


def _no_place(pod: View, others: list[View], node: View, *, has_room: bool) -> Rejection | None:
    for lack in () if has_room else lacks(pod, others, node):
        return Rejection(f"OutOf{lack.name}", lack.message)
    if not matches_node(pod, node):
        message = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
        return Rejection("NodeAffinity", message)
    if _port_conflict(pod, others):
        message = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
        return Rejection("NodePorts", message)
    if not spec.is_static(pod) and _is_kept_away(pod, node):
        message = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
        return Rejection("TaintToleration", message)
    return None


def lacks(pod: View, others: Sequence[View], node: View) -> Iterator[Lack]:
    """What the node has not enough of for the pod."""
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    used: dict[str, int] = {}
    for other in others:
        for name, amount in spec.pod_requests(other).items():
            used[name] = used.get(name, 0) + amount
    count = Quantity.parse(allocatable.get("pods", "110")).value
    if len(others) + 1 > count:
        yield Lack("pods", 1, len(others), count)
    for name, amount in sorted(spec.pod_requests(pod).items(), key=_place):
        if _is_extended(name) and name not in allocatable:
            continue  # Somebody else than the scheduler has bound it, who knows what that is.
        capacity = Quantity.parse(allocatable.get(name, "0")).milli
        taken = used.get(name, 0)
        if amount and amount + taken > capacity:
            scale = 1 if name == "cpu" else 1000
            yield Lack(name, amount // scale, taken // scale, capacity // scale)


def _place(item: tuple[str, int]) -> tuple[int, str]:
    name = item[0]
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)


def _is_extended(name: str) -> bool:
    return "/" in name and not name.partition("/")[0].endswith("kubernetes.io")


def matches_node(pod: View, node: View) -> bool:
    """Whether the pod's node selector and required node affinity choose this node."""
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (pod["spec"].get("nodeSelector") or {}).items()):
        return False
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return matches_terms(required.get("nodeSelectorTerms") or (), node)


_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": "gt", "Lt": "lt"}


def matches_terms(terms: Iterable[View], node: View) -> bool:
    """Whether any term of a node selector chooses the node."""
    labels, name = node["metadata"].get("labels") or {}, node["metadata"]["name"]
    return any(_matches_term(term, labels, name) for term in terms)


def _matches_term(term: View, labels: Mapping[str, str], name: str) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    given = [(item, labels) for item in expressions] + [(item, {"metadata.name": name}) for item in fields]
    return all(
        new_requirement(item["key"], _OPERATORS[item["operator"]], item.get("values") or ()).matches(values)
        for item, values in given
    )


def _port_conflict(pod: View, others: list[View]) -> bool:
    taken = [port for other in others for port in _host_ports(other)]
    return any(_overlap(own, port) for own in _host_ports(pod) for port in taken)


def _host_ports(pod: View) -> Iterator[tuple[str, str, int]]:
    for container in (*spec.containers(pod), *(c for c in spec.init_containers(pod) if spec.is_sidecar(c))):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"]


def _overlap(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    same_ip = one[0] == other[0] or "0.0.0.0" in (one[0], other[0])
    return same_ip and one[1:] == other[1:]


def _is_kept_away(pod: View, node: View) -> bool:
    """Whether the node has a NoExecute taint that the pod does not tolerate."""
    tolerations = pod["spec"].get("tolerations") or ()
    taints = [taint for taint in node["spec"].get("taints") or () if taint["effect"] == "NoExecute"]
    return any(not any(_tolerates(item, taint) for item in tolerations) for taint in taints)


def _tolerates(toleration: View, taint: View) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")
