"""Nominated pods: those for which room was made on a node, and which will soon take it.

Others of lower priority are kept from it: a node is judged as if its nominated pods of the same or higher priority
were there already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controllers.scheduler.pod import PodInfo
from controllers.scheduler.snapshot import Snapshot


class Nominations:
    """Waiting pods by the node that was promised to them."""

    def __init__(self) -> None:
        self._by_node: dict[str, dict[str, PodInfo]] = {}
        self._node_of: dict[str, str] = {}

    def set(self, pod: PodInfo, node: str) -> None:
        """Promise a node to the pod; '' promises none."""
        self.drop(pod.uid)
        if node:
            self._node_of[pod.uid] = node
            self._by_node.setdefault(node, {})[pod.uid] = pod

    def drop(self, uid: str) -> None:
        node = self._node_of.pop(uid, "")
        if node:
            pods = self._by_node[node]
            del pods[uid]
            if not pods:
                del self._by_node[node]

    def node_of(self, uid: str) -> str:
        return self._node_of.get(uid, "")

    def on(self, node: str) -> Sequence[PodInfo]:
        return tuple(self._by_node.get(node, {}).values())

    def at_least_as_important(self, node: str, pod: PodInfo) -> Sequence[PodInfo]:
        """The pods promised to the node that `pod` must give way to."""
        if node not in self._by_node:
            return ()
        return [other for other in self.on(node) if other.uid != pod.uid and other.priority >= pod.priority]

    def rows(self, snapshot: Snapshot, pod: PodInfo) -> Iterable[int]:
        """The rows that must be judged together with the pods promised to them."""
        return [
            snapshot.rows[node]
            for node in self._by_node
            if node in snapshot.rows and self.at_least_as_important(node, pod)
        ]
