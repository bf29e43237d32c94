"""Keeps a node's place in the API: registers it, renews its lease, and writes its status when it changes.

Follows: pkg/kubelet/kubelet_node_status.go, k8s.io/component-helpers/apimachinery/lease
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from controllers.runtime.client import Client
from controllers.runtime.errors import AlreadyExists, ApiError, Conflict, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import LEASES, NODES
from controllers.runtime.objects import revision_of
from nodeagent.node.changes import condition_changes, schedulable_change
from nodeagent.node.machine import Machine
from nodeagent.node.status import NodeState, Object, View, make_node, make_node_status
from nodeagent.pods.fleet import Own
from openapi.meta.times import format_micro_time, now

log = logging.getLogger(__name__)

LEASE_S = 40
RENEW_S = 10.0
RENEW_JITTER = 0.04
LOOK_S = 10.0
HURRIED_LOOK_S = 0.25
"""How soon a node that is not ready looks whether it is now; later and later as long as nothing changes."""
REPORT_S = 300.0
"""A status that has not changed is written again after this long."""
LEASE_NAMESPACE = "kube-node-lease"
RETRY_S = 1.0


Tell = Callable[[str, str], object]
"""Tells an event about the node: a reason, a message."""


class NodeKeeper:
    """One node. `look` finds out its present state, `own` is the node as the API shows it.

    `tell` is None where nothing of what becomes of the node is to be told.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        machine: Machine,
        look: Callable[[], Awaitable[NodeState]],
        own: Own,
        *,
        labels: Mapping[str, str],
        taints: Sequence[View],
        tell: Tell | None = None,
    ) -> None:
        self._client = client
        self._name = name
        self._machine = machine
        self._look = look
        self._own = own
        self._labels = labels
        self._taints = taints
        self._tell = tell
        self._was_unschedulable = False
        self._lease: Object | None = None
        self._reported_at = 0.0
        self._wake = asyncio.Event()
        self.ready = asyncio.Event()
        """Set once the node has been ready."""
        self.node: Object = {}
        """The node as the API has it."""

    async def register(self) -> None:
        """Create the node, or take over the one that is there; tries until that works."""
        wanted = make_node(self._name, self._machine, self._labels, self._taints)
        while True:
            try:
                self.node = await self._create_or_adopt(wanted)
                await self.report()
                return
            except ApiError as error:
                log.warning("node not registered: %s", error, extra={"node": self._name})
                await asyncio.sleep(RETRY_S)

    async def _create_or_adopt(self, wanted: Object) -> Object:
        state = await self._look()
        status = make_node_status(self._name, self._machine, state, {}, now())
        try:
            created = await self._client.create(NODES, {**wanted, "status": status})
            self._tell_changes({}, status)
            return created
        except AlreadyExists:
            found = await self._client.get(NODES, "", self._name)
        labels = found["metadata"].get("labels") or {}
        if wanted["metadata"]["labels"].items() <= labels.items():
            return found
        patch = {"metadata": {"labels": wanted["metadata"]["labels"]}}
        return await self._client.patch(NODES, "", self._name, patch)

    async def refresh(self) -> None:
        """Learn how the node is now; where the API cannot tell, it stays as it was known."""
        try:
            self.node = await self._client.get(NODES, "", self._name)
        except ApiError as error:
            log.warning("node not read: %s", error, extra={"node": self._name})

    def _tell_changes(self, old: View, new: View) -> None:
        for reason in condition_changes(old, new):
            self._tell_status(reason)

    def _tell_schedulable(self) -> None:
        reason = schedulable_change(was_unschedulable=self._was_unschedulable, node=self.node)
        if reason:
            self._was_unschedulable = not self._was_unschedulable
            self._tell_status(reason)

    def _tell_status(self, reason: str) -> None:
        if self._tell is not None:
            self._tell(reason, f"Node {self._name} status is now: {reason}")

    def wake(self) -> None:
        """Something about the node has changed: look now."""
        self._wake.set()

    async def run(self) -> None:
        """Renew the lease, keep the status and see what others do to the node, for ever."""
        if self._tell is not None:
            self._tell("Starting", "Starting kubelet.")
        self._own.add_handler(self._on_change)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._own.run())
            group.create_task(self._renew_for_ever())
            group.create_task(self._report_for_ever())

    def _on_change(self, change: Change) -> None:
        if change.type == "DELETED" or revision_of(change.obj) <= revision_of(self.node):
            return
        is_news = any(change.obj.get(part) != self.node.get(part) for part in ("spec", "status"))
        self.node = change.obj
        self._tell_schedulable()
        if is_news:
            self.wake()

    async def _report_for_ever(self) -> None:
        pause_s = HURRIED_LOOK_S
        while True:
            try:
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
                pause_s = HURRIED_LOOK_S
            except TimeoutError:
                pause_s = min(2 * pause_s, LOOK_S)
            self._wake.clear()
            try:
                if await self.report():
                    pause_s = LOOK_S
            except NotFound:
                await self.register()
            except ApiError as error:
                log.warning("node status not written: %s", error, extra={"node": self._name})

    async def report(self) -> bool:
        """Write the status if it says something new, or nothing was written for long; true when the node is ready."""
        state = await self._look()
        is_ready = state.readiness.runtime and state.readiness.network
        for _ in range(5):
            old = self.node.get("status") or {}
            status = make_node_status(self._name, self._machine, state, old, now())
            is_due = time.monotonic() - self._reported_at > REPORT_S
            if not is_due and not _differs(old, status):
                break
            patch = {"metadata": {"resourceVersion": self.node["metadata"]["resourceVersion"]}, "status": status}
            try:
                self.node = await self._client.patch(NODES, "", self._name, patch, subresource="status")
            except Conflict:
                self.node = await self._client.get(NODES, "", self._name)
            else:
                self._reported_at = time.monotonic()
                self._tell_changes(old, status)
                break
        if is_ready:
            self.ready.set()
        return is_ready

    async def _renew_for_ever(self) -> None:
        """At times of its own: nodes that begin together are not to ask together for ever."""
        share = random.random()
        while True:
            try:
                await self._renew()
            except ApiError as error:
                log.warning("lease not renewed: %s", error, extra={"node": self._name})
                self._lease = None
            await asyncio.sleep(RENEW_S * share)
            share = random.uniform(1, 1 + RENEW_JITTER)

    async def _renew(self) -> None:
        if self._lease is None:
            self._lease = await self._acquire()
            return
        lease = {**self._lease, "spec": {**self._lease["spec"], "renewTime": _micro(now())}}
        try:
            self._lease = await self._client.update(LEASES, lease)
        except (Conflict, NotFound):
            self._lease = await self._acquire()

    async def _acquire(self) -> Object:
        spec = {"holderIdentity": self._name, "leaseDurationSeconds": LEASE_S, "renewTime": _micro(now())}
        owner = {"apiVersion": "v1", "kind": "Node", "name": self._name, "uid": self.node["metadata"]["uid"]}
        metadata = {"name": self._name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]}
        lease = {"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": metadata, "spec": spec}
        try:
            return await self._client.create(LEASES, lease)
        except AlreadyExists:
            found = await self._client.get(LEASES, LEASE_NAMESPACE, self._name)
            return await self._client.update(LEASES, {**found, "spec": {**found.get("spec", {}), **spec}})


def _micro(moment: datetime) -> str:
    return format_micro_time(moment)


def _differs(old: View, new: View) -> bool:
    """Whether two statuses differ in more than the time of the last heartbeat."""
    for name, value in new.items():
        if name == "conditions":
            if [_lasting(item) for item in old.get(name) or ()] != [_lasting(item) for item in value]:
                return True
        elif (old.get(name) or None) != (value or None):  # the API leaves out what is empty
            return True
    return False


def _lasting(condition: View) -> Object:
    return {name: value for name, value in condition.items() if name != "lastHeartbeatTime"}
