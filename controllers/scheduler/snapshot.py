"""The cluster as arrays, one row per node, updated with every change, so that a rule is one expression.

`changes` is a log of the rows that changed; whoever keeps results per row refreshes only those. The snapshot is not a
copy: the scheduling of a pod does not wait for anything in between, so nothing moves while it looks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controllers.scheduler.columns import (
    Bools,
    ImageColumns,
    Ints,
    LabelColumns,
    PodCounters,
    PortColumns,
    TaintColumns,
    TermColumns,
    grown,
)
from controllers.scheduler.pod import PodInfo, Template
from controllers.scheduler.resources import CPU, EPHEMERAL_STORAGE, MEMORY, PODS, amounts
from controllers.scheduler.selection import HARD_EFFECTS, Labels, Taint, Toleration, tolerated

View = Mapping[str, Any]
FIRST_SIZE = 64
MAX_CHANGES = 8192
"""Length of the log of changes; readers that are further behind start over."""


class Resources:
    """One resource: what each row offers and what its pods ask for."""

    __slots__ = ("allocatable", "requested")

    def __init__(self, size: int) -> None:
        self.allocatable: Ints = np.zeros(size, dtype=np.int64)
        self.requested: Ints = np.zeros(size, dtype=np.int64)


class Snapshot:
    """Nodes, and the pods on them."""

    def __init__(self) -> None:
        size = FIRST_SIZE
        self.size = size
        self.rows: dict[str, int] = {}
        self.names: list[str] = [""] * size
        self.nodes: list[View] = [{}] * size
        self.pods_on: list[dict[str, PodInfo]] = [{} for _ in range(size)]
        self.alive: Bools = np.zeros(size, dtype=np.bool_)
        self.unschedulable: Bools = np.zeros(size, dtype=np.bool_)
        self.pod_count: Ints = np.zeros(size, dtype=np.int64)
        self.scoring_cpu: Ints = np.zeros(size, dtype=np.int64)
        self.scoring_memory: Ints = np.zeros(size, dtype=np.int64)
        self.resources: dict[str, Resources] = {
            name: Resources(size) for name in (CPU, MEMORY, EPHEMERAL_STORAGE, PODS)
        }
        self.labels = LabelColumns(size)
        self.taints = TaintColumns(size)
        self.ports = PortColumns(size)
        self.images = ImageColumns(size)
        self.namespaces: dict[str, Labels] = {}
        self.counters = PodCounters(size, self.namespace_labels)
        self.near, self.far = TermColumns(size), TermColumns(size)
        self.rather_near, self.rather_far = TermColumns(size), TermColumns(size)
        self.pods: dict[str, PodInfo] = {}
        self.claim_users: Counter[tuple[str, str]] = Counter()
        """How many pods on nodes use a volume claim, by its namespace and name."""
        self.versions: Ints = np.zeros(size, dtype=np.int64)
        """Grows with every change of a row."""
        self.changes: list[int] = []
        self.first_change = 0
        self.generation = 0
        """Grows with every change of a node itself (not of its pods)."""
        self._free = list(range(size - 1, -1, -1))
        self._homeless: dict[str, dict[str, PodInfo]] = {}

    # nodes

    def set_node(self, node: View) -> None:
        """Add a node, or take over its new state."""
        name = node["metadata"]["name"]
        row = self.rows.get(name)
        if row is None:
            row = self._take_row(name)
        spec, status = node.get("spec") or {}, node.get("status") or {}
        self.nodes[row] = node
        self.unschedulable[row] = bool(spec.get("unschedulable"))
        self._set_allocatable(row, status.get("allocatable"))
        self.labels.set(row, node["metadata"].get("labels") or {})
        taints = spec.get("taints") or ()
        self.taints.set(row, tuple(Taint(t["key"], t.get("value") or "", t["effect"]) for t in taints))
        self.images.set(row, status.get("images") or ())
        self.generation += 1
        self._changed(row)
        for pod in list(self._homeless.pop(name, {}).values()):
            del self.pods[pod.uid]
            self.add_pod(pod)

    def remove_node(self, name: str) -> None:
        """Forget a node. Its pods are kept in case it comes back before they are gone."""
        row = self.rows.get(name)
        if row is None:
            return
        pods = list(self.pods_on[row].values())
        for pod in pods:
            self.remove_pod(pod.uid)
        del self.rows[name]
        self.alive[row] = False
        self.names[row], self.nodes[row] = "", {}
        self._set_allocatable(row, None)
        self.labels.drop(row)
        self.taints.set(row, ())
        self.images.set(row, ())
        self._free.append(row)
        self.generation += 1
        self._changed(row)
        for pod in pods:
            self.add_pod(pod)

    def _take_row(self, name: str) -> int:
        if not self._free:
            self._resize(self.size * 2)
        row = self._free.pop()
        self.rows[name] = row
        self.names[row] = name
        self.alive[row] = True
        return row

    def _set_allocatable(self, row: int, quantities: Mapping[str, Any] | None) -> None:
        offered = amounts(quantities)
        for name in offered:
            self.resource(name)
        for name, resource in self.resources.items():
            resource.allocatable[row] = offered.get(name, 0)

    def resource(self, name: str) -> Resources:
        found = self.resources.get(name)
        if found is None:
            found = self.resources[name] = Resources(self.size)
        return found

    # pods

    def add_pod(self, pod: PodInfo) -> None:
        """Count a pod on the node `pod.node`; one that is known already is replaced."""
        known = self.pods.get(pod.uid)
        if known is not None:
            if known.row >= 0 and known.node == pod.node and known.counts_like(pod):
                pod.row = known.row
                self.pods[pod.uid] = self.pods_on[pod.row][pod.uid] = pod
                return
            self.remove_pod(pod.uid)
        self.pods[pod.uid] = pod
        row = self.rows.get(pod.node)
        if row is None:
            pod.row = -1
            self._homeless.setdefault(pod.node, {})[pod.uid] = pod
            return
        pod.row = row
        self.pods_on[row][pod.uid] = pod
        self._count(pod, row, 1)

    def remove_pod(self, uid: str) -> PodInfo | None:
        pod = self.pods.pop(uid, None)
        if pod is None:
            return None
        if pod.row < 0:
            homeless = self._homeless.get(pod.node, {})
            homeless.pop(uid, None)
            if not homeless:
                self._homeless.pop(pod.node, None)
            return pod
        del self.pods_on[pod.row][uid]
        self._count(pod, pod.row, -1)
        pod.row = -1
        return pod

    @contextmanager
    def with_pods(self, pods: Iterable[PodInfo], node: str) -> Iterator[None]:
        """The snapshot as if these pods, which are on no node, were on that one."""
        guests = [PodInfo(pod.obj, pod.template) for pod in pods]
        for guest in guests:
            guest.node = node
            self.add_pod(guest)
        try:
            yield
        finally:
            for guest in guests:
                self.remove_pod(guest.uid)

    def _count(self, pod: PodInfo, row: int, change: int) -> None:
        template = pod.template
        self.pod_count[row] += change
        for name, value in template.requests.items():
            self.resource(name).requested[row] += value * change
        self.scoring_cpu[row] += template.scoring_cpu * change
        self.scoring_memory[row] += template.scoring_memory * change
        self.counters.count(row, template.namespace, template.labels, pod.is_terminating, change)
        if template.ports:
            self.ports.count(row, template.ports, change)
        for claim in template.volume_claims:
            self.claim_users[claim] += change
        if template.has_terms:
            self.near.count(row, template.near, change)
            self.far.count(row, template.far, change)
            self.rather_near.count(row, template.rather_near, change)
            self.rather_far.count(row, template.rather_far, change)
        self._changed(row)

    # namespaces

    def namespace_labels(self, namespace: str) -> Labels:
        return self.namespaces.get(namespace, {})

    def set_namespace(self, name: str, labels: Labels | None) -> None:
        """Note the labels of a namespace; None: it is gone."""
        if labels == self.namespaces.get(name):
            return
        if labels is None:
            del self.namespaces[name]
        else:
            self.namespaces[name] = labels
        self.counters.namespace_changed()
        for terms in (self.near, self.far, self.rather_near, self.rather_far):
            terms.version += 1

    # what rules ask

    def label_in(self, key: str, values: Sequence[str]) -> Bools:
        return self.labels.among(key, values)

    def has_label(self, key: str) -> Bools:
        return self.labels.column(key) >= 0

    def label_where(self, key: str, test: Callable[[str], bool]) -> Bools:
        return self.labels.where(key, test)

    def named(self, names: Iterable[str]) -> Bools:
        result = np.zeros(self.size, dtype=np.bool_)
        result[[self.rows[name] for name in names if name in self.rows]] = True
        return result

    def selected(self, template: Template) -> Bools:
        """The rows that the node selector and required affinity of such pods allow; kept until a node changes."""
        known = template.memo.get("selected")
        if known is None or known[0] != self.generation:
            known = template.memo["selected"] = (self.generation, template.selection.mask(self))
        return known[1]

    def untolerated(self, tolerations: Sequence[Toleration]) -> Bools | None:
        """The rows with a taint that keeps away pods with these tolerations; None: no such row."""
        failing: Bools | None = None
        for taint, tainted in self.taints.rows.items():
            if taint.effect in HARD_EFFECTS and not tolerated(taint, tolerations):
                failing = tainted if failing is None else failing | tainted
        return failing

    def per_domain(self, key: str, counts: NDArray[Any], where: Bools | None = None) -> NDArray[Any]:
        """Sums of `counts` by value of the node label `key`, over rows that have it (and are in `where`)."""
        column = self.labels.column(key)
        chosen = (column >= 0) if where is None else (column >= 0) & where
        totals = np.bincount(column[chosen], weights=counts[chosen], minlength=self.labels.domains(key))
        return totals.astype(np.int64)

    def shared(self, key: str, counts: Ints) -> Ints:
        """For each row the sum of `counts` over its domain of the node label `key`; 0 for rows without it."""
        column = self.labels.column(key)
        if self.labels.is_unique(key):
            return np.where(column >= 0, counts, 0)
        return np.append(self.per_domain(key, counts), 0)[column]  # -1 is the last one

    def changed_since(self, position: int) -> list[int] | None:
        """The rows that changed after `position` in the log; None where it does not reach back that far."""
        if position < self.first_change:
            return None
        return self.changes[position - self.first_change :]

    def start_over(self) -> None:
        """Make whoever keeps results per row compute all of them anew."""
        self.first_change = self.position + 1
        self.changes.clear()

    @property
    def position(self) -> int:
        """Where the log of changes ends now."""
        return self.first_change + len(self.changes)

    def _changed(self, row: int) -> None:
        self.changes.append(row)
        self.versions[row] += 1
        if len(self.changes) > MAX_CHANGES:
            half = MAX_CHANGES // 2
            del self.changes[:half]
            self.first_change += half

    def _resize(self, size: int) -> None:
        old, self.size = self.size, size
        more = size - old
        self.names += [""] * more
        self.nodes += [{}] * more
        self.pods_on += [{} for _ in range(more)]
        self._free = list(range(size - 1, old - 1, -1)) + self._free
        for name in ("alive", "unschedulable", "pod_count", "scoring_cpu", "scoring_memory", "versions"):
            setattr(self, name, grown(getattr(self, name), size))
        for resource in self.resources.values():
            resource.allocatable = grown(resource.allocatable, size)
            resource.requested = grown(resource.requested, size)
        for columns in (self.labels, self.taints, self.ports, self.images, self.counters):
            columns.resize(size)
        for terms in (self.near, self.far, self.rather_near, self.rather_far):
            terms.resize(size)
        self.start_over()
