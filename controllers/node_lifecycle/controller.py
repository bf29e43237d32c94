"""Watches over nodes: conditions of silent ones, taints by condition, eviction taints at a zone's pace, pods not ready.

A node's key brings its labels and NoSchedule taints up to date; a pod's key tells a new pod that its node is not ready;
the key without a name is the look at all nodes every few seconds, which finds silence. Evicting itself is the taint
eviction controller's.
Follows: pkg/controller/nodelifecycle/node_lifecycle_controller.go
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from typing import ClassVar

from controllers.node_lifecycle.health import Finding, Health, Patience, look
from controllers.node_lifecycle.pods import mark_unready
from controllers.node_lifecycle.taints import eviction_taints, older_labels, schedule_taints
from controllers.node_lifecycle.zones import Pace, Zones, zone_of
from controllers.options import Options
from controllers.runtime.controller import Controller, For, Requeue, Runtime, Watches
from controllers.runtime.errors import ApiError, Conflict, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import LEASES, NODES, PODS
from controllers.runtime.objects import Key, Object, View, condition_of, key_of, labels_of, name_of, unversioned
from controllers.workloads.pod_indexes import BY_NODE, index_by_node

log = logging.getLogger(__name__)

LEASE_NAMESPACE = "kube-node-lease"
_EXCLUDED = "node.kubernetes.io/exclude-disruption"
_ALL = Key("", "")
_LOOKS_AT_ONCE = 8


class NodeLifecycleController(Controller):
    name = "node-lifecycle-controller"
    account = "node-controller"
    workers = 8

    def ready_pod(self, change: Change) -> Iterable[Key]:
        """A new or newly bound pod that says it is ready, though its node may not be.

        Later words of the node's agent stand until the next look at the node: it knows better, and would say so again.
        """
        pod = change.obj
        if change.old is not None and change.old["spec"].get("nodeName") == pod["spec"].get("nodeName"):
            return
        if change.type != "DELETED" and self._is_unwell(pod["spec"].get("nodeName", "")):
            ready = condition_of(pod, "Ready")
            if ready is not None and ready.get("status") == "True":
                yield key_of(pod)

    watches: ClassVar = (For(NODES), Watches(PODS, ready_pod))

    def __init__(self, runtime: Runtime, patience: Patience, period_s: float, pace: Pace) -> None:
        self._patience = patience
        self._period_s = period_s
        self._known: dict[str, Health] = {}
        self._registered: dict[str, Object] = {}
        self._zones = Zones(pace)
        self._waiting: dict[str, str] = {}
        self._pods_to_retry: set[str] = set()
        super().__init__(runtime)
        self._leases = runtime.informers.filtered(LEASES, f"metadata.namespace={LEASE_NAMESPACE}").store
        index_by_node(self.store(PODS))
        self._node_events = runtime.events.recorder("node-controller")
        self.queue.add(_ALL)

    async def reconcile(self, key: Key) -> Requeue | None:
        if key == _ALL:
            await self.look_at_all()
            return Requeue(self._period_s)
        if key.namespace:
            await self._check_pod(key)
            return None
        node = self.store(NODES).get(*key)
        if node is None:
            return None
        taints = schedule_taints(node, self.clock())
        if taints is not None:
            node = await self._write_taints(node, taints)
        labels = older_labels(node)
        if labels:
            await self.client.patch(NODES, "", key.name, {"metadata": {"labels": dict(labels)}})
        return None

    def _is_unwell(self, node: str) -> bool:
        health = self._known.get(node)
        return health is not None and health.ready not in ("", "True")

    async def _check_pod(self, key: Key) -> None:
        pod = self.store(PODS).get(*key)
        if pod is not None and self._is_unwell(pod["spec"].get("nodeName", "")):
            await mark_unready(self.client, self._node_events, (pod,), self.clock())

    async def _write_taints(self, node: View, taints: list[Object]) -> Object:
        """Replace the taints, if nobody has changed the node meanwhile."""
        metadata = {"resourceVersion": node["metadata"]["resourceVersion"]}
        patch = {"metadata": metadata, "spec": {"taints": taints or None}}
        return await self.client.patch(NODES, "", name_of(node), patch)

    # The look at all nodes

    async def look_at_all(self) -> None:
        """One round: health of each node, states of zones, eviction taints as far as the pace allows."""
        nodes = {name_of(node): node for node in self.store(NODES).all()}
        self._register(nodes)
        ready: dict[str, list[bool]] = {}
        rest = iter(nodes.values())
        async with asyncio.TaskGroup() as group:
            for _ in range(min(_LOOKS_AT_ONCE, len(nodes))):
                group.create_task(self._look_at_some(rest, ready))
        turn = self._zones.update(ready, self.clock())
        if turn == "stopped":
            await self._call_off(nodes)
        elif turn == "resumed":
            self._forgive()
        await self._taint_waiting()

    async def _look_at_some(self, nodes: Iterator[Object], ready: dict[str, list[bool]]) -> None:
        """Take nodes until none is left; who is ready goes into `ready` by zone."""
        for node in nodes:
            try:
                finding = await self._look_at(node)
                if finding.current:
                    await self._follow(name_of(node), finding)
            except ApiError as error:
                # One node must not keep the others from being looked at; its turn comes again in the next round.
                log.log(_level(error), "node not judged: %s", error, extra={"object": name_of(node)})
                continue
            if _EXCLUDED not in labels_of(node):
                ready.setdefault(zone_of(node), []).append(finding.current == "True")

    def _register(self, nodes: dict[str, Object]) -> None:
        for name in nodes.keys() - self._registered.keys():
            text = f"Node {name} event: Registered Node {name} in Controller"
            self._node_events.normal(unversioned(nodes[name]), "RegisteredNode", text)
        for name in self._registered.keys() - nodes.keys():
            text = f"Node {name} event: Removing Node {name} from Controller"
            self._node_events.normal(unversioned(self._registered[name]), "RemovingNode", text)
            self._known.pop(name, None)
            self._waiting.pop(name, None)
            self._pods_to_retry.discard(name)
        self._registered = nodes

    async def _look_at(self, node: Object) -> Finding:
        name = name_of(node)
        lease = self._leases.get(LEASE_NAMESPACE, name)
        renewal = str(lease["spec"].get("renewTime") or "") if lease is not None else ""
        finding = look(node, renewal, self._known.get(name), self.clock(), self._patience)
        if finding.conditions is not None:
            status = {**(node.get("status") or {}), "conditions": finding.conditions}
            await self.client.update(NODES, {**node, "status": status}, "status")
        self._known[name] = finding.health
        return finding

    async def _follow(self, name: str, finding: Finding) -> None:
        """Draw the conclusions from one node's health."""
        node = self.store(NODES).get("", name)
        if node is None:
            return
        await self._plan_eviction(node, finding.observed)
        if finding.observed == "True" and finding.current != "True":
            self._node_events.normal(unversioned(node), "NodeNotReady", f"Node {name} status is now: NodeNotReady")
        elif not (name in self._pods_to_retry and finding.observed != "True"):
            return
        try:
            pods = self.store(PODS).by_index(BY_NODE, name)
            await mark_unready(self.client, self._node_events, pods, self.clock())
            self._pods_to_retry.discard(name)
        except ApiError as error:
            log.info("pods not marked: %s", error, extra={"object": name})
            self._pods_to_retry.add(name)

    async def _plan_eviction(self, node: Object, ready: str) -> None:
        """A node that is well loses its eviction taints at once; one with the other taint changes it; others wait."""
        taints = eviction_taints(node, ready, self.clock())
        name = name_of(node)
        if taints is None:
            self._waiting.pop(name, None)
        elif ready == "True" or len(taints) == len(node["spec"].get("taints") or ()):
            self._waiting.pop(name, None)
            await self._try_taints(node, taints)
        else:
            self._waiting.setdefault(name, zone_of(node))

    async def _taint_waiting(self) -> None:
        for name, zone in list(self._waiting.items()):
            node = self.store(NODES).get("", name)
            ready = condition_of(node, "Ready") if node is not None else None
            if node is None or ready is None or ready.get("status") == "True":
                del self._waiting[name]
                continue
            taints = eviction_taints(node, ready.get("status", ""), self.clock())
            if taints is not None and self._zones.may_taint(zone, self.clock()):
                await self._try_taints(node, taints)

    async def _try_taints(self, node: Object, taints: list[Object]) -> None:
        """A conflict leaves it to the next round."""
        try:
            await self._write_taints(node, taints)
        except (Conflict, NotFound):
            return
        self._waiting.pop(name_of(node), None)

    async def _call_off(self, nodes: dict[str, Object]) -> None:
        """Everything is down, so it may be us: nobody is evicted."""
        log.warning("all nodes are not ready: evictions stopped")
        self._waiting.clear()
        for node in nodes.values():
            known = self.store(NODES).get("", name_of(node))
            taints = eviction_taints(known, "True", self.clock()) if known is not None else None
            if known is not None and taints is not None:
                await self._try_taints(known, taints)

    def _forgive(self) -> None:
        """After an outage of everything each node gets its full time again."""
        log.info("nodes are back: evictions resumed")
        now = self.clock()
        self._known = {
            name: Health(now, health.ready, health.heartbeat, health.renewal) for name, health in self._known.items()
        }


def node_lifecycle(runtime: Runtime, options: Options) -> NodeLifecycleController:
    """The controller as patient and as quick as the options say."""
    patience = Patience(options.node_monitor_grace_period_s, options.node_startup_grace_period_s)
    pace = Pace(
        options.node_eviction_rate,
        options.secondary_node_eviction_rate,
        options.unhealthy_zone_threshold,
        options.large_cluster_size_threshold,
    )
    return NodeLifecycleController(runtime, patience, options.node_monitor_period_s, pace)


def _level(error: ApiError) -> int:
    """A node that has changed this moment, or is gone, is nothing to speak of."""
    return logging.DEBUG if isinstance(error, Conflict | NotFound) else logging.WARNING
